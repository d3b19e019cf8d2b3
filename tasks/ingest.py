"""Copy the source's new images into an immutable batch, measure every image, give each its split."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from joblib import Parallel, delayed
from tqdm import tqdm

from assay import batch, files, image, labels, ledger, manifest, measure, memo, params, source, stage
from assay.errors import AssayError

NOT_MEASURED = {"path", "label", "split", "batch", "offset"}
FACTS = pa.schema([("key", pa.string()), *(each for each in manifest.SCHEMA if each.name not in NOT_MEASURED)])
OFFSETS = pa.schema([("key", pa.string()), ("sha256", pa.string()), ("offset", pa.int64())])


def main(p: params.Params) -> None:
    images = source.read_snapshot(p.paths.source)
    measured = measure_all(images, p.paths.memo.images)
    known = ledger.read(p.paths.ledger)
    shares = {"val": p.ingest.val_share, "test": p.ingest.test_share}
    shares["train"] = 1 - sum(shares.values())
    readable = measured[measured["sha256"].notna()]
    extended = ledger.extend(known, readable, shares)
    check_given(ledger.contradictions(extended, readable), p.paths.ledger)
    places = store(images, measured, extended, p.paths)
    rows = measured.merge(extended[["sha256", "split"]], on="sha256", how="left").merge(places, on="sha256", how="left")
    rows["split"] = rows["split"].where(rows["decodable"] & rows["label"].notna())
    ledger.write(p.paths.ledger, extended)
    manifest.write(p.paths.manifest, rows)
    counts = summary(rows)
    files.write_json(p.paths.metrics.data, {"data": counts})
    n_new = len(extended) - len(known)
    print(f"{images.name}: {len(rows):,} images in {counts['n_classes']} classes, {n_new:,} new contents")
    print(*(f"{split} {n:,}" for split, n in counts["split"].items()), f"set aside {counts['n_set_aside']:,}", sep=", ")


def measure_all(images: source.Source, remembered: Path) -> pd.DataFrame:
    """Return the rows of the manifest, but for split and place, in the order of the listing.

    Only files that `remembered` does not know as they are now are read.
    """
    made_by = memo.code([image, measure])
    known = memo.read(remembered, FACTS, made_by)
    known_keys = set(known["key"].to_pylist())
    listed = pd.DataFrame(
        {
            "path": entry.path,
            "label": entry.label,
            "given_group": entry.group,
            "given_split": entry.split,
            "key": (memo.stamp(entry.place) if images.has_files and not entry.problem else "") or f"row {number}",
        }
        for number, entry in enumerate(images.entries)
    )
    new = [(key, entry) for key, entry in zip(listed["key"], images.entries, strict=True) if key not in known_keys]
    facts = pa.concat_tables([known, pa.Table.from_pylist(_measure(images, new), FACTS)])
    facts = facts.filter(pc.is_in(facts["key"], pa.array(listed["key"], pa.string())))
    if images.has_files:
        # What could not be read may be readable next time without a trace of it.
        lasting = pc.and_(pc.is_valid(facts["sha256"]), pc.invert(pc.starts_with(facts["key"], "row ")))
        memo.write(remembered, facts.filter(lasting), made_by)
    return listed.merge(memo.frame(facts), on="key", how="left").drop(columns="key")


def _measure(images: source.Source, new: list[tuple[str, source.Entry]]) -> list[dict[str, Any]]:
    # Pillow works outside the interpreter's lock, so threads use all cores and share what they read.
    work = Parallel(n_jobs=-1, prefer="threads", return_as="generator")(
        delayed(_measure_one)(images, key, entry) for key, entry in new
    )
    return list(tqdm(work, "measuring", len(new), unit=" images", disable=None))


def _measure_one(images: source.Source, key: str, entry: source.Entry) -> dict[str, Any]:
    row: dict[str, Any] = {"key": key, "bytes": entry.bytes, "sha256": None}
    try:
        content = images.read(entry)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        return row | asdict(
            measure.Measurements(decodable=False, reason=reason, named_format=measure.named_format(entry.path))
        )
    row |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return row | asdict(measure.measure(content, entry.path))


def check_given(contradictions: pd.DataFrame, kept_in: Path) -> None:
    """Raise `AssayError` if the source wants an image in another split than it has, or a group in two."""
    if contradictions.empty:
        return
    rows = contradictions.head(5)
    first = "; ".join(f"{path}: {reason}" for path, reason in zip(rows["path"], rows["reason"], strict=True))
    more = ", ..." if len(contradictions) > len(rows) else ""
    raise AssayError(
        f"splits: {len(contradictions):,} images are given a split that they cannot have: {first}{more}; "
        f"mend the source, or delete {kept_in} to split all anew"
    )


def store(images: source.Source, measured: pd.DataFrame, known: pd.DataFrame, paths: params.Paths) -> pd.DataFrame:
    """Return `sha256`, `batch` and `offset` of every stored image, after writing the batches that are not there yet.

    A batch of which the source holds nothing any more is dropped from the folder; DVC's cache keeps it.
    """
    here = measured.dropna(subset="sha256").drop_duplicates("sha256").set_index("sha256")["path"]
    paths.raw.mkdir(parents=True, exist_ok=True)
    made_by = memo.code([batch])
    remembered = memo.frame(memo.read(paths.memo.batches, OFFSETS, made_by))
    whole = {str(key): rows.set_index("sha256")["offset"] for key, rows in remembered.groupby("key")}
    places, checked = [], []
    for number, rows in known.groupby("batch"):
        members = rows["sha256"][rows["sha256"].isin(here.index)].sort_values()
        if len(members):
            file = paths.raw / batch.name(int(str(number)), rows["sha256"])
            offsets = _offsets(images, file, here[members], whole)
            checked.append(
                pd.DataFrame({"key": memo.stamp(str(file)), "sha256": offsets.index, "offset": offsets.values})
            )
            places.append(pd.DataFrame({"sha256": members, "batch": file.name, "offset": members.map(offsets)}))
    stored = pd.concat(places, ignore_index=True) if places else pd.DataFrame(columns=["sha256", "batch", "offset"])
    for file in set(paths.raw.iterdir()) - {paths.raw / name for name in stored["batch"]}:
        file.unlink()
    if checked:
        memo.write(paths.memo.batches, pa.Table.from_pandas(pd.concat(checked), OFFSETS, preserve_index=False), made_by)
    return stored


def _offsets(
    images: source.Source, file: Path, members: "pd.Series[str]", whole: "dict[str, pd.Series[int]]"
) -> "pd.Series[int]":
    """Return where each image lies in the batch, by SHA-256; `whole`: those of batches that were checked as they are.

    A batch that is absent, broken or lacks one of the images is written first.
    """
    offsets = whole.get(memo.stamp(str(file)))
    try:
        offsets = pd.Series(batch.read_offsets(file)) if offsets is None else offsets
    except (FileNotFoundError, AssayError):
        offsets = pd.Series(dtype="int64")
    if members.index.isin(offsets.index).all():
        return offsets
    batch.write(file, _contents(images, members))
    return pd.Series(batch.read_offsets(file))


def _contents(images: source.Source, members: "pd.Series[str]") -> Iterator[tuple[str, bytes]]:
    entries = {entry.path: entry for entry in images.entries if not entry.problem}
    for sha256, path in members.items():
        content = images.read(entries[path])
        if hashlib.sha256(content).hexdigest() != sha256:
            raise AssayError(f"{path}: changed while it was read; run it again")
        yield str(sha256), content


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the numbers of metrics/data.json."""
    used = rows[rows["split"].notna()]
    by_class = used["label"].value_counts().sort_index()
    slugs = labels.slugs(by_class.index)
    return {
        "n_images": len(rows),
        "n_set_aside": len(rows) - len(used),
        "n_copies": int(used["pixels"].duplicated().sum()),
        "n_classes": len(by_class),
        "imbalance": round(by_class.max() / by_class.min(), 4) if len(by_class) else 0,
        "split": {split: int((used["split"] == split).sum()) for split in manifest.SPLITS},
        "class": {slugs[label]: int(n) for label, n in by_class.items()},
    }


if __name__ == "__main__":
    stage.run("ingest", main)
