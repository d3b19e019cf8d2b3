"""The released classifier, for programs: `from assay import Classifier`. No TensorFlow, and no pandas, is imported."""

from os import PathLike
from pathlib import Path
from typing import Self

from assay.inference import exported
from assay.inference.model import Model


class Classifier(Model):
    """A model by its folder or its version."""

    @property
    def is_release(self) -> bool:
        """Whether it was asked for by its version, and not as a folder."""
        return not self.version.startswith("sha256:")

    @classmethod
    def load(cls, folder: str | PathLike[str] | None = None, *, version: str | None = None) -> Self:
        """Return the classifier of an export folder, or of a released version: `champion`, or one such as `v0.0.3`.

        A version comes from the repository in the current folder: its tag, then DVC's cache or a remote. Every file is
        held against its SHA-256. Raises `AssayError`.
        """
        if (folder is None) == (version is None):
            raise ValueError("one of folder and version must be given")
        if folder is not None:
            return cls(exported.read(Path(folder)))
        from assay.versions import tagged  # git, and for what is not here yet DVC

        found = tagged.export(str(version))
        return cls(exported.read(found.folder, found.sha256), found.version)
