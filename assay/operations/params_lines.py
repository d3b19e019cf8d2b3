"""params.yaml changed where it stands: a value gives way, and comments, order and blank lines stay."""

import re
from collections.abc import Mapping

import yaml

from assay.errors import AssayError


def changed(text: str, values: Mapping[str, object]) -> str:
    """Return the text with these values, by dotted key: `preprocess.height_px`.

    A comment stays in its column where there is room. Raises `AssayError` for a key that does not stand in the text, or
    has a value of several lines.
    """
    root = yaml.compose(text)
    nodes = {key: _node(root, key.split(".")) for key in values}
    if wrong := [key for key, node in nodes.items() if node is None or _is_block(node)]:
        raise AssayError(f"params.yaml: {', '.join(wrong)}: on no line of its own; set it by hand")
    places = [(node.start_mark.index, node.end_mark.index, values[key]) for key, node in nodes.items() if node]
    for start, end, value in sorted(places, key=lambda place: place[0], reverse=True):
        text = _with(text, start, end, _flow(value))
    return text


def _node(root: yaml.Node | None, keys: list[str]) -> yaml.Node | None:
    for key in keys:
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        root = next((found for name, found in pairs if name.value == key), None)
    return root


def _is_block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and not node.flow_style


def _with(text: str, start: int, end: int, value: str) -> str:
    """Return the text with another value there, and the comment behind it where it was."""
    begin, stop = text.rfind("\n", 0, start) + 1, end + len(text[end:].partition("\n")[0])
    head = text[begin:start] + ("" if start != end else " ") + value
    rest = text[end:stop]
    if comment := re.fullmatch(r"\s+(#.*)", rest):
        column = end - begin + comment.start(1)
        rest = " " * max(2, column - len(head)) + comment[1]
    return text[:begin] + head + rest + text[stop:]


def _flow(value: object) -> str:
    """Return a value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")
