"""Decode and resize every image once, into TFRecord shards of each split.

A shard is named by its content, so only what changed gets another name. Which shard comes of which images, labels,
parameters and code is remembered beside the pipeline, in a file that may be lost: it saves time and changes no result.
"""

import hashlib
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import PIL
from joblib import Parallel, delayed
from tqdm import tqdm

from assay import batch, files, gate, icc, image, labels, manifest, params, records, resize, stage


@dataclass(frozen=True)
class Plan:
    """What one shard will hold."""

    split: str
    members: pd.DataFrame  # rows of the manifest, in the order of SHA-256
    key: str  # a hash over all that decides its bytes


def main(p: params.Params) -> None:
    set_aside = gate.check_open(p.paths.passed, p.paths.manifest)
    rows = manifest.read(p.paths.manifest)
    rows = rows[rows["split"].notna() & ~rows["path"].isin(set_aside)].drop_duplicates("sha256").sort_values("sha256")
    task = manifest.task(p.paths.manifest)
    classes = labels.classes(rows["label"], task)
    rows["encoded"] = rows["label"].map({label: labels.encode(label, classes, task) for label in set(rows["label"])})
    plans = plan(rows, p.preprocess)
    names, n_new = build(plans, p.paths, p.preprocess)
    records.write_index(p.paths.index, index(plans, names, classes, task, p.preprocess))
    size = f"{p.preprocess.height_px}x{p.preprocess.width_px} {p.preprocess.colour}"
    print(f"{len(rows):,} images as {size} in {len(plans)} shards, {n_new} of them new")


def plan(rows: pd.DataFrame, p: params.Preprocess) -> list[Plan]:
    """Return the shards: those of each split and batch, none with more than `p.shard_images` images."""
    plans = []
    for split in manifest.SPLITS:
        for _, of_batch in rows[rows["split"] == split].groupby("batch", sort=True):
            plans += [Plan(split, members, _key(members, p)) for members in _divide(of_batch, p.shard_images)]
    return plans


def _divide(members: pd.DataFrame, most: int) -> list[pd.DataFrame]:
    """Return the members, sorted by SHA-256, in parts of at most `most`: halved by its bits, from the first on.

    An image that goes or comes changes its own part only, and not all that follow as with equal counts.
    """
    hashes = [int(sha256, 16) for sha256 in members["sha256"]]
    parts, queue = [], [(0, len(members), 0, 2**256)]
    while queue:
        start, end, low, high = queue.pop()
        if end - start <= most:
            parts.append((start, end))
            continue
        middle = (low + high) // 2
        cut = bisect_left(hashes, middle, start, end)
        queue += [(start, cut, low, middle), (cut, end, middle, high)]
    return [members.iloc[start:end] for start, end in sorted(parts) if end > start]


def _key(members: pd.DataFrame, p: params.Preprocess) -> str:
    made_by = [p.height_px, p.width_px, p.colour, p.resize, PIL.__version__]
    made_by += [files.sha256(Path(str(module.__file__))) for module in (icc, image, records, resize)]
    content = json.dumps([made_by, members["sha256"].tolist(), members["encoded"].tolist()])
    return hashlib.sha256(content.encode()).hexdigest()


def build(plans: list[Plan], paths: params.Paths, p: params.Preprocess) -> tuple[list[str], int]:
    """Return the file name of each shard and how many of them were written; files that are none of them go."""
    remembered = files.read_json(paths.memo.shards) if paths.memo.shards.exists() else {}
    missing = [each for each in plans if not records.is_whole(paths.records / remembered.get(each.key, "none"))]
    for each in tqdm(missing, "writing", unit=" shards", disable=None):
        remembered[each.key] = records.write(paths.records, each.split, _examples(each.members, paths.raw, p))
    names = [remembered[each.key] for each in plans]
    files.write_json(paths.memo.shards, {each.key: name for each, name in zip(plans, names, strict=True)})
    for file in paths.records.iterdir():
        if file.name not in names:
            file.unlink()
    return names, len(missing)


def _examples(members: pd.DataFrame, raw: Path, p: params.Preprocess) -> Iterator[records.Example]:
    with (raw / members["batch"].iloc[0]).open("rb") as tar:
        contents = (
            (batch.read_image(tar, offset=row.offset, size=row.bytes, sha256=row.sha256), row)
            for row in members.itertuples()
        )
        # Pillow works outside the interpreter's lock, so threads use all cores.
        yield from Parallel(n_jobs=-1, prefer="threads", return_as="generator")(
            delayed(_example)(content, row.encoded, row.sha256, p) for content, row in contents
        )


def _example(content: bytes, label: int | tuple[int, ...], sha256: str, p: params.Preprocess) -> records.Example:
    pixels = image.prepare(content, height_px=p.height_px, width_px=p.width_px, colour=p.colour, resize=p.resize)
    return records.Example(image=pixels, label=label, sha256=sha256)


def index(
    plans: list[Plan], names: list[str], classes: tuple[str, ...], task: labels.Task, p: params.Preprocess
) -> records.Index:
    splits = {}
    for split in manifest.SPLITS:
        own = [(each.members, name) for each, name in zip(plans, names, strict=True) if each.split == split]
        counts = Counter(name for members, _ in own for label in members["label"] for name in labels.names(label, task))
        splits[split] = records.Split(
            n_images=sum(len(members) for members, _ in own),
            class_counts=tuple(counts[name] for name in classes),
            shards=tuple(name for _, name in own),
        )
    channels = 1 if p.colour == "grey" else 3
    size = {"height_px": p.height_px, "width_px": p.width_px, "channels": channels}
    return records.Index(task=task, classes=classes, splits=splits, **size)


if __name__ == "__main__":
    stage.run("preprocess", main)
