"""The command that comes next, as far as the files of the checkout show it."""

from collections.abc import Collection

from assay import files, params
from assay.errors import AssayError

SUGGEST = "`assay expectations suggest --overwrite`"


def known_classes(p: params.Params) -> set[str]:
    """Return the classes that the suites allow; read without Great Expectations, for a command that must be quick."""
    try:
        entries = files.read_yaml(p.paths.expectations / "labels.yaml")["expectations"]
        lists = [each["value_set"] for each in entries if each.get("column") == "label" and "value_set" in each]
    except (AssayError, OSError, KeyError, TypeError, AttributeError):
        return set()
    return {str(name) for names in lists for name in names}


def is_foreign(p: params.Params, classes: Collection[str]) -> bool:
    """Say whether the suites were made for other images: they know less than half of the classes."""
    return 2 * len(known_classes(p) & set(classes)) < len(classes)


def after_snapshot(p: params.Params, source: str, classes: Collection[str]) -> str:
    """Return what to do after a look at the source with these classes."""
    if not is_foreign(p, classes):
        return "`dvc repro`"
    place = source.removeprefix("folder:")
    of_others = f"expectations/ is about other classes: {', '.join(sorted(known_classes(p))[:5]) or 'none'}, ..."
    return f"`assay init {place}` makes this project that of these images ({of_others})"


def after_release(*, is_champion: bool) -> str:
    """Return what to do with a version."""
    publish = "`git push --follow-tags` and `dvc push` give it to others"
    if is_champion:
        return f"{publish}; `assay monitor FOLDER` says whether new images are like those that it knows"
    return f"{publish}; `assay promote VERSION` makes it the champion all the same"
