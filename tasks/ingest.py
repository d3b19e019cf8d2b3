"""Copy the source's new images into an immutable batch, measure every image, give each its split."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from assay import batch, files, labels, ledger, manifest, params, source, stage
from assay.errors import AssayError
from assay.measure import Measurements, measure, named_format


def main(p: params.Params) -> None:
    images = source.read_snapshot(p.paths.source)
    measured = measure_all(images)
    known = ledger.read(p.paths.ledger)
    shares = {"val": p.ingest.val_share, "test": p.ingest.test_share}
    shares["train"] = 1 - sum(shares.values())
    readable = measured[measured["sha256"].notna()]
    extended = ledger.extend(known, readable, shares)
    check_given(ledger.contradictions(extended, readable), p.paths.ledger)
    places = store(images, measured, extended, p.paths.raw)
    rows = measured.merge(extended[["sha256", "split"]], on="sha256", how="left").merge(places, on="sha256", how="left")
    rows["split"] = rows["split"].where(rows["decodable"] & rows["label"].notna())
    ledger.write(p.paths.ledger, extended)
    manifest.write(p.paths.manifest, rows)
    counts = summary(rows)
    files.write_json(p.paths.metrics.data, {"data": counts})
    n_new = len(extended) - len(known)
    print(f"{images.name}: {len(rows):,} images in {counts['n_classes']} classes, {n_new:,} new contents")
    print(*(f"{split} {n:,}" for split, n in counts["split"].items()), f"set aside {counts['n_set_aside']:,}", sep=", ")


def measure_all(images: source.Source) -> pd.DataFrame:
    """Return the rows of the manifest, but for split and place, in the order of the listing."""
    # Pillow works outside the interpreter's lock, so threads use all cores and share what they read.
    work = Parallel(n_jobs=-1, prefer="threads", return_as="generator")(
        delayed(_measure_one)(images, entry) for entry in images.entries
    )
    return pd.DataFrame(list(tqdm(work, "measuring", len(images.entries), unit=" images", disable=None)))


def _measure_one(images: source.Source, entry: source.Entry) -> dict[str, Any]:
    row: dict[str, Any] = {"path": entry.path, "label": entry.label, "bytes": entry.bytes, "sha256": None}
    row |= {"given_group": entry.group, "given_split": entry.split}
    try:
        content = images.read(entry)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        return row | asdict(Measurements(decodable=False, reason=reason, named_format=named_format(entry.path)))
    row |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return row | asdict(measure(content, entry.path))


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


def store(images: source.Source, measured: pd.DataFrame, known: pd.DataFrame, raw: Path) -> pd.DataFrame:
    """Return `sha256`, `batch` and `offset` of every stored image, after writing the batches that are not there yet.

    A batch of which the source holds nothing any more is dropped from `raw`; DVC's cache keeps it.
    """
    here = measured.dropna(subset="sha256").drop_duplicates("sha256").set_index("sha256")["path"]
    raw.mkdir(parents=True, exist_ok=True)
    places, wanted = [], set()
    for number, rows in known.groupby("batch"):
        members = rows["sha256"][rows["sha256"].isin(here.index)].sort_values()
        if len(members):
            file = raw / batch.name(int(str(number)), rows["sha256"])
            offsets = _offsets(images, file, here[members])
            places.append(pd.DataFrame({"sha256": members, "batch": file.name, "offset": members.map(offsets)}))
            wanted.add(file.name)
    for file in raw.iterdir():
        if file.name not in wanted:
            file.unlink()
    return pd.concat(places, ignore_index=True)


def _offsets(images: source.Source, file: Path, members: "pd.Series[str]") -> dict[str, int]:
    """Return where each image lies in the batch; it is written first if it is absent, broken or lacks one of them."""
    try:
        offsets = batch.read_offsets(file)
    except (FileNotFoundError, AssayError):
        offsets = {}
    if set(members.index) <= set(offsets):
        return offsets
    batch.write(file, _contents(images, members))
    return batch.read_offsets(file)


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
