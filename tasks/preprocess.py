"""Decode and resize every image once, into TFRecord shards of each split.

A shard is named by all that makes it: its images, their labels, the parameters, the code and Pillow's version. So a
shard that is there already is kept, and what a killed run left is continued.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import PIL
from joblib import Parallel, delayed
from tqdm import tqdm

from assay import batch, files, gate, image, manifest, params, records, stage


def main(p: params.Params) -> None:
    gate.check_open(p.paths.passed, p.paths.manifest)
    rows = manifest.read(p.paths.manifest)
    rows = rows[rows["split"].notna()].drop_duplicates("sha256").sort_values("sha256")
    classes = tuple(sorted(rows["label"].unique()))
    rows["class_index"] = rows["label"].map({name: index for index, name in enumerate(classes)})
    shards = plan(rows, p.preprocess)
    n_new = build(shards, p.paths.raw, p.paths.records, p.preprocess)
    records.write_index(p.paths.index, index(shards, classes, p.preprocess))
    size = f"{p.preprocess.height_px}x{p.preprocess.width_px} {p.preprocess.colour}"
    print(f"{len(rows):,} images as {size} in {len(shards)} shards, {n_new} of them new")


def plan(rows: pd.DataFrame, p: params.Preprocess) -> dict[str, pd.DataFrame]:
    """Return the rows of each shard by its file name: per split and batch, in the order of SHA-256."""
    shards = {}
    for split in manifest.SPLITS:
        for _, of_batch in rows[rows["split"] == split].groupby("batch", sort=True):
            for start in range(0, len(of_batch), p.shard_images):
                members = of_batch.iloc[start : start + p.shard_images]
                shards[f"{split}-{_key(members, p)}{records.SUFFIX}"] = members
    return shards


def _key(members: pd.DataFrame, p: params.Preprocess) -> str:
    made_by = [p.height_px, p.width_px, p.colour, PIL.__version__]
    made_by += [files.sha256(Path(str(module.__file__))) for module in (image, records)]
    content = json.dumps([made_by, members["sha256"].tolist(), members["class_index"].tolist()])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def build(shards: dict[str, pd.DataFrame], raw: Path, out: Path, p: params.Preprocess) -> int:
    """Return how many shards were written: those that `out` did not hold whole; files that are none of them go."""
    out.mkdir(parents=True, exist_ok=True)
    for file in out.iterdir():
        if file.name not in shards:
            file.unlink()
    missing = [name for name in shards if not records.is_whole(out / name)]
    for name in tqdm(missing, "writing", unit=" shards", disable=None):
        records.write(out / name, _examples(shards[name], raw, p))
    return len(missing)


def _examples(members: pd.DataFrame, raw: Path, p: params.Preprocess) -> Iterator[records.Example]:
    with (raw / members["batch"].iloc[0]).open("rb") as tar:
        contents = (
            (batch.read_image(tar, offset=row.offset, size=row.bytes, sha256=row.sha256), row)
            for row in members.itertuples()
        )
        # Pillow works outside the interpreter's lock, so threads use all cores.
        yield from Parallel(n_jobs=-1, prefer="threads", return_as="generator")(
            delayed(_example)(content, row.class_index, row.sha256, p) for content, row in contents
        )


def _example(content: bytes, label: int, sha256: str, p: params.Preprocess) -> records.Example:
    pixels = image.prepare(content, height_px=p.height_px, width_px=p.width_px, colour=p.colour)
    return records.Example(image=pixels, label=label, sha256=sha256)


def index(shards: dict[str, pd.DataFrame], classes: tuple[str, ...], p: params.Preprocess) -> records.Index:
    splits = {}
    for split in manifest.SPLITS:
        own = {name: members for name, members in shards.items() if name.startswith(f"{split}-")}
        counts = pd.concat([shard["class_index"] for shard in own.values()] or [pd.Series(dtype=int)]).value_counts()
        splits[split] = records.Split(
            n_images=int(counts.sum()),
            class_counts=tuple(int(counts.get(label, 0)) for label in range(len(classes))),
            shards=tuple(own),
        )
    channels = 1 if p.colour == "grey" else 3
    return records.Index(height_px=p.height_px, width_px=p.width_px, channels=channels, classes=classes, splits=splits)


if __name__ == "__main__":
    stage.run("preprocess", main)
