"""Which shard holds which images, and which shards have to be written."""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from joblib import cpu_count

from assay import files, labels, params, progress
from assay.compute import backend, fingerprint
from assay.compute import memo as remembering
from assay.dataset import packing
from assay.dataset.records import contents, shard
from assay.images.decode import Preparation


@dataclass(frozen=True)
class Plan:
    """What one shard will hold."""

    split: str
    members: pd.DataFrame  # rows of the manifest, in the order of SHA-256
    key: str  # a hash over all that decides its bytes


def plan(rows: pd.DataFrame, p: Preparation, shard_images: int) -> list[Plan]:
    """Return the shards: those of each split and batch, none with more than `shard_images` images."""
    plans = []
    for split in labels.SPLITS:
        for _, of_batch in rows[rows["split"] == split].groupby("batch", sort=True):
            plans += [Plan(split, members, _key(members, p)) for members in _divide(of_batch, shard_images)]
    return plans


def _divide(members: pd.DataFrame, most: int) -> list[pd.DataFrame]:
    """Return the members, sorted by SHA-256, in parts of at most `most`: halved by its bits, from the first on.

    An image that goes or comes changes its own part only, and not all that follow as with equal counts.
    """
    hashes = members["sha256"].array
    parts, queue = [], [(0, len(members), 0, 2**256)]
    while queue:
        start, end, low, high = queue.pop()
        if end - start <= most:
            parts.append((start, end))
            continue
        middle = (low + high) // 2
        cut = bisect_left(hashes, f"{middle:064x}", start, end)
        queue += [(start, cut, low, middle), (cut, end, middle, high)]
    return [members.iloc[start:end] for start, end in sorted(parts) if end > start]


def _key(members: pd.DataFrame, p: Preparation) -> str:
    content = json.dumps([_made_by(p), members["sha256"].tolist(), members["encoded"].tolist()])
    return hashlib.sha256(content.encode()).hexdigest()


def _made_by(p: Preparation) -> list[str | int | None]:
    """Return what decides the pixels of an image, besides its bytes."""
    return [p.height_px, p.width_px, p.colour, p.resize, p.white_level, fingerprint.fingerprint(packing.CODE)]


def build(plans: list[Plan], paths: params.Paths, p: Preparation) -> tuple[list[str], int, int]:
    """Return the file name of each shard, how many of them were written, and how many images were decoded for that.

    Pixels that stand in a shard that goes are copied. Files that are none of the shards go.
    """
    remembered = _remembered(paths.memo.shards, p)
    missing = [each for each in plans if not shard.is_whole(paths.records / remembered.get(each.key, "none"))]
    wanted = {each.key for each in plans}
    going = [paths.records / name for key, name in remembered.items() if key not in wanted]
    kept = _kept(going, missing, p)
    n_images = sum(len(each.members) for each in missing)
    work = _written((_shard(each, kept, paths, p) for each in missing), len(missing), n_images)
    with progress.told("preparing", n_images) as advance:
        for each, name in zip(missing, work, strict=True):
            shard.settle(paths.records / name)  # here, so that no worker waits for the disk
            remembered[each.key] = name
            _remember(paths.memo.shards, remembered, p)  # at once: a kill costs no more than the shard at hand
            advance(len(each.members))
    names = [remembered[each.key] for each in plans]
    _remember(paths.memo.shards, {each.key: name for each, name in zip(plans, names, strict=True)}, p)
    for file in paths.records.iterdir():
        if file.name not in names:
            file.unlink()
    return names, len(missing), n_images - len(kept)


def _remembered(memo: Path, p: Preparation) -> dict[str, str]:
    """Return the file name of each shard by its key, of those with pixels that would be made today."""
    content = files.read_json(memo) if memo.exists() else {}
    shards: dict[str, str] = content.get("shards", {}) if content.get("made_by") == _made_by(p) else {}
    return shards


def _remember(memo: Path, shards: dict[str, str], p: Preparation) -> None:
    with remembering.spared():
        files.write_json(memo, {"made_by": _made_by(p), "shards": shards})


def _kept(going: list[Path], missing: list[Plan], p: Preparation) -> dict[str, tuple[Path, int]]:
    """Return by SHA-256 where pixels of the missing shards stand in those that go: the file, and where in it."""
    if not going:
        return {}
    wanted = {sha256 for each in missing for sha256 in each.members["sha256"]}
    size = p.height_px * p.width_px * contents.CHANNELS[p.colour]
    return {
        sha256: (file.absolute(), start)
        for file in going
        if shard.is_whole(file)
        for sha256, start in shard.pixels(file, size)
        if sha256 in wanted
    }


def _shard(plan: Plan, kept: dict[str, tuple[Path, int]], paths: params.Paths, p: Preparation) -> packing.Shard:
    rows = plan.members
    members = zip(rows["offset"].tolist(), rows["bytes"].tolist(), rows["sha256"], rows["encoded"], strict=True)
    return packing.Shard(
        made_by=fingerprint.fingerprint(packing.CODE),
        batch=(paths.raw / rows["batch"].iloc[0]).absolute(),
        members=tuple(packing.Member(*each, kept.get(each[2])) for each in members),
        preparation=p,
        folder=paths.records.absolute(),
        split=plan.split,
    )


def _written(shards: Iterator[packing.Shard], n_shards: int, n_images: int) -> Iterator[str]:
    """Yield the name of each shard: one a core or worker at a time, or, where there are few, all cores at one."""
    if not backend.is_cluster() and (n_shards < cpu_count() or n_images < backend.PROCESSES_FROM):
        yield from (packing.write(shard, threads=-1) for shard in shards)
    else:
        yield from backend.results(packing.write, shards, n_images)


def index(
    plans: list[Plan], names: list[str], classes: tuple[str, ...], task: labels.Task, p: Preparation
) -> contents.Index:
    splits = {}
    for split in labels.SPLITS:
        own = [(each.members, name) for each, name in zip(plans, names, strict=True) if each.split == split]
        held = pd.concat([members["label"] for members, _ in own] or [pd.Series(dtype="str")])
        counts = labels.counts(held.value_counts().items(), task)
        splits[split] = contents.Split(
            n_images=sum(len(members) for members, _ in own),
            class_counts=tuple(counts.get(name, 0) for name in classes),
            shards=tuple(name for _, name in own),
        )
    channels = contents.CHANNELS[p.colour]
    size = {"height_px": p.height_px, "width_px": p.width_px, "channels": channels}
    return contents.Index(task=task, classes=classes, splits=splits, **size)
