"""Images and pairs as the ledger of splits takes them, and what it says of them."""

from pathlib import Path

import pandas as pd

from assay.dataset import splits as ledger

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def rows(*images: tuple[str, str | None, str | None]) -> pd.DataFrame:
    """Return images of (sha256, pixels, label)."""
    return with_classes(pd.DataFrame(images, columns=["sha256", "pixels", "label"]))


def with_classes(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images with a tuple of the classes in `label`, which are joined by "|"."""
    classes = [None if pd.isna(label) else tuple(label.split("|")) if label else () for label in images["label"]]
    return images.assign(classes=classes, bytes=1)


def grow(known: pd.DataFrame, *images: tuple[str, str | None, str | None]) -> pd.DataFrame:
    return ledger.extend(known, rows(*images), SHARES, paired())


def empty() -> pd.DataFrame:
    return ledger.read(Path("no such file"))


def numbered(n: int, label: str = "cat") -> list[tuple[str, str | None, str | None]]:
    return [(f"{label}{i:04d}", f"{label}-{i:04d}", label) for i in range(n)]


def given_rows(*images: tuple[str, str, str, str | None, str | None]) -> pd.DataFrame:
    """Return images of (sha256, pixels, label, given group, given split)."""
    return with_classes(pd.DataFrame(images, columns=["sha256", "pixels", "label", "given_group", "given_split"]))


def column(found: pd.DataFrame, name: str) -> dict[str, str]:
    return dict(zip(found["sha256"], found[name], strict=True))


def reasons(found: pd.DataFrame, images: pd.DataFrame, near: pd.DataFrame | None = None) -> list[str]:
    """Return what `leaks` says of each image; its path is its SHA-256."""
    near = paired() if near is None else near
    absent = {name: None for name in ("given_split",) if name not in images}
    listed = images.assign(path=images["sha256"], **absent).merge(found[["sha256", "split"]], on="sha256", how="left")
    return ledger.leaks(listed.assign(split=listed["split"].replace("", None)), near).tolist()


def paired(*near: tuple[str, str], distance: float = 0.01) -> pd.DataFrame:
    return pd.DataFrame(near, columns=["sha256", "partner"], dtype="str").assign(distance=distance)
