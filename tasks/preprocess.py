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

import pandas as pd
from joblib import cpu_count
from tqdm import tqdm

from assay import backend, code, files, gate, labels, manifest, pack, params, records, stage


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
    made_by = [p.height_px, p.width_px, p.colour, p.resize, code.fingerprint(pack.CODE)]
    content = json.dumps([made_by, members["sha256"].tolist(), members["encoded"].tolist()])
    return hashlib.sha256(content.encode()).hexdigest()


def build(plans: list[Plan], paths: params.Paths, p: params.Preprocess) -> tuple[list[str], int]:
    """Return the file name of each shard and how many of them were written; files that are none of them go."""
    remembered = files.read_json(paths.memo.shards) if paths.memo.shards.exists() else {}
    missing = [each for each in plans if not records.is_whole(paths.records / remembered.get(each.key, "none"))]
    work = _written([_shard(each, paths, p) for each in missing])
    for each, name in zip(missing, tqdm(work, "writing", len(missing), unit=" shards", disable=None), strict=True):
        remembered[each.key] = name
        files.write_json(paths.memo.shards, remembered)  # at once: a kill costs no more than the shard at hand
    names = [remembered[each.key] for each in plans]
    files.write_json(paths.memo.shards, {each.key: name for each, name in zip(plans, names, strict=True)})
    for file in paths.records.iterdir():
        if file.name not in names:
            file.unlink()
    return names, len(missing)


def _shard(plan: Plan, paths: params.Paths, p: params.Preprocess) -> pack.Shard:
    rows = plan.members
    members = zip(rows["offset"].tolist(), rows["bytes"].tolist(), rows["sha256"], rows["encoded"], strict=True)
    return pack.Shard(
        made_by=code.fingerprint(pack.CODE),
        batch=(paths.raw / rows["batch"].iloc[0]).absolute(),
        members=tuple(pack.Member(*each) for each in members),
        height_px=p.height_px,
        width_px=p.width_px,
        colour=p.colour,
        resize=p.resize,
        folder=paths.records.absolute(),
        split=plan.split,
    )


def _written(shards: list[pack.Shard]) -> Iterator[str]:
    """Yield the name of each shard: one a core or worker at a time, or, where there are few, all cores at one."""
    n_images = sum(len(shard.members) for shard in shards)
    if not backend.is_cluster() and (len(shards) < cpu_count() or n_images < backend.PROCESSES_FROM):
        yield from (pack.write(shard, threads=-1) for shard in shards)
    else:
        yield from backend.results(pack.write, shards, n_images)


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
