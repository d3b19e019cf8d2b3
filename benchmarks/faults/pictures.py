"""The images that faults are put into: real ones, of the ELPV package or of any source that Assay reads."""

import importlib.util
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from PIL import Image

from assay.errors import AssayError
from assay.sources import opening

MODULE_CELLS = 40  # ELPV says not which module a cell was cut from; neighbours in the listing are of one
TWINS = range(2276, 2326)  # cells 2277 to 2326 are cells 1735 to 1784 once more (benchmarks/elpv.py)
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


@dataclass(frozen=True)
class Picture:
    """One sound image: `path` ends in the suffix of the set's encoder, and `content` is what that made of `image`."""

    path: str
    label: str
    group: str
    split: str
    image: Image.Image  # L or RGB
    content: bytes


def encode(image: Image.Image, suffix: str) -> bytes:
    """Return the image as the set's files are made, so that the compression of a changed one tells nothing."""
    content = io.BytesIO()
    options = {".png": {"compress_level": 4}, ".jpg": {"quality": 95, "subsampling": 0}}[suffix]
    image.save(content, {".png": "PNG", ".jpg": "JPEG"}[suffix], **options)
    return content.getvalue()


def draw(name: str, n_images: int, seed: int = 0) -> list[Picture]:
    """Return about so many pictures of the set, whole groups of them, each group in one split.

    `name`: elpv, or a source as `assay snapshot` takes it. Another seed draws others.
    """
    listed = elpv_table() if name == "elpv" else source_table(name)
    rows = _drawn(listed, n_images, seed)
    return sorted(_decoded(rows.assign(split=_splits(rows))), key=lambda picture: picture.path)


def redraw(every: Sequence[Picture], n_images: int, seed: int) -> list[Picture]:
    """Return about so many of the pictures, whole groups of them, without a split: `ingest` is to give them one."""
    listed = pd.DataFrame({"path": [each.path for each in every], "group": [each.group for each in every]})
    return [replace(every[at], split="") for at in _drawn(listed, n_images, seed).sort_values("path").index]


def _drawn(listed: pd.DataFrame, n_images: int, seed: int) -> pd.DataFrame:
    """Return the rows of whole groups."""
    random = np.random.default_rng(seed)
    groups = [rows for _, rows in listed.groupby("group")]
    chosen: list[pd.DataFrame] = []
    for at in random.permutation(len(groups)):
        if sum(map(len, chosen)) >= min(n_images, len(listed)):
            break
        chosen.append(groups[at])
    return pd.concat(chosen)


def _splits(rows: pd.DataFrame) -> list[str]:
    """Return a split for each row; a group goes where the share is furthest from full."""
    held = dict.fromkeys(SHARES, 0)
    of_group: dict[str, str] = {}
    for group, n_images in rows["group"].value_counts(sort=False).items():
        of_group[group] = min(SHARES, key=lambda split: held[split] / SHARES[split])
        held[of_group[group]] += n_images
    return list(rows["group"].map(of_group))


def _decoded(rows: pd.DataFrame) -> Iterator[Picture]:
    for row in rows.itertuples():
        content = row.read()
        opened = Image.open(io.BytesIO(content))
        suffix = ".png" if opened.format == "PNG" else ".jpg"
        image = opened if opened.mode in ("L", "RGB") else opened.convert("RGB")
        kept = content if suffix == ".png" else encode(image, suffix)
        path = PurePosixPath(row.path).with_suffix(suffix)
        yield Picture(path.as_posix(), row.label, row.group, row.split, image.copy(), kept)


def elpv_folder() -> Path:
    """Return the folder of the package `elpv-dataset`; raises `AssayError` if it is not installed."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise AssayError("elpv: no such package here: pip install elpv-dataset (90 MB)")
    return Path(spec.origin).parent / "data"


def elpv_labels() -> pd.DataFrame:
    """Return the 2,624 cells: `path` below `elpv_folder()`, the authors' `probability` of a defect, `kind`."""
    columns = ["path", "probability", "kind"]
    return pd.read_csv(elpv_folder() / "labels.csv", sep=r"\s+", header=None, names=columns)


def elpv_table() -> pd.DataFrame:
    cells = elpv_labels().assign(group=lambda rows: [f"module {n // MODULE_CELLS:02}" for n in rows.index])
    cells = cells.drop(index=list(TWINS))
    cells["label"] = np.where(cells["probability"] >= 0.5, "defective", "sound")
    return cells.assign(read=[(elpv_folder() / path).read_bytes for path in cells["path"]])


def source_table(name: str) -> pd.DataFrame:
    images = opening.open_source(name)
    entries = [entry for entry in images.entries if entry.label is not None and not entry.problem]
    rows = pd.DataFrame({"path": [e.path for e in entries], "label": [e.label for e in entries]})
    rows["group"] = [entry.group or entry.path for entry in entries]
    return rows.assign(read=[lambda e=entry: images.read(e) for entry in entries])


def random_of(name: str, seed: int = 0) -> np.random.Generator:
    """Return a generator that depends on the name: one more fault in a table changes no other."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
