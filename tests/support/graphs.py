"""What TensorFlow made of a function after it was optimised."""

from collections.abc import Iterable
from typing import Any


def kinds_of(graphs: Iterable[Any], name: str) -> set[str]:
    """Return the kinds of operations in the graphs that a model of this name is part of.

    `graphs`: of the run metadata, which has those of other models too, whose last step ends meanwhile.
    """
    return {node.op for graph in graphs for node in _nodes(graph.post_optimization_graph) if _is_of(graph, name)}


def _is_of(graph: Any, name: str) -> bool:
    return any(name in node.name for node in _nodes(graph.post_optimization_graph))


def _nodes(graph: Any) -> list[Any]:
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
