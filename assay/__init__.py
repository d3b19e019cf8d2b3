"""Tests image data before a model is trained on it, and the model before anyone uses it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.inference.classifier import Classifier as Classifier


def __getattr__(name: str) -> Any:
    """Hand on the classifier when it is asked for, so that no other import of the package pays for it."""
    if name == "Classifier":
        from assay.inference.classifier import Classifier

        return Classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
