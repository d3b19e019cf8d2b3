"""Copy the source's new images into an immutable batch, measure every image, give each its split."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from assay import backend, files, labels, ledger, manifest, near, neighbours, params, scan, source, stage, store
from assay.errors import AssayError

REFUSED = 50  # images named of those whose given split cannot be
SEED = 0  # of the pairs that the limit of near-duplicates is measured on


def main(p: params.Params) -> None:
    backend.keep_memory()  # the looks for near-duplicates take half the time
    images = source.read_snapshot(p.paths.source)
    measured, facts = scan.scan(images, p.paths.memo.images)
    known = ledger.read(p.paths.ledger)
    measured = without_forgotten(measured, known)
    measured["classes"] = [None if pd.isna(label) else labels.names(label, images.task) for label in measured["label"]]
    readable = measured[measured["sha256"].notna()]
    new = ledger.with_new(known, readable)
    with store.writing(images, measured, new, p.paths.raw, p.paths.memo.batches) as storing:
        alike, limit = near_duplicates(measured, facts, read_limit(p.paths.near_limit), p.paths.memo.pairs)
        shares = {"val": p.ingest.val_share, "test": p.ingest.test_share}
        shares["train"] = 1 - sum(shares.values())
        extended = ledger.extend(known, readable, shares, alike)
        check_given(ledger.contradictions(extended, readable), p.paths.ledger)
        places = store.finish(storing, p.paths.raw, p.paths.memo.batches)
    rows = divided(measured, extended, alike).merge(places, on="sha256", how="left")
    ledger.write(p.paths.ledger, extended)
    files.write_json(p.paths.near_limit, limit)
    write_pairs(p.paths.pairs, rows, alike)
    manifest.write(p.paths.manifest, rows, images.task)
    counts = summary(rows, images.task) | {"n_near_duplicates": len(alike)}
    files.write_json(p.paths.metrics.data, {"data": counts})
    n_new = len(extended) - len(known)
    print(f"{images.name}: {len(rows):,} images in {counts['n_classes']} classes, {n_new:,} new contents")
    print(*(f"{split} {n:,}" for split, n in counts["split"].items()), f"set aside {counts['n_set_aside']:,}", sep=", ")
    print(f"{counts['n_copies']:,} copies, {len(alike):,} pairs of near-duplicates")


def without_forgotten(measured: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Return the rows; one that must not be stored again has nothing but its name, its label and the reason."""
    is_named = measured["sha256"].isin(known.loc[known["split"] == ledger.FORGOTTEN, "sha256"])
    kept = measured[["path", "label", "fact", "decodable"]]
    rows = measured.where(~is_named).assign(**kept)
    rows.loc[is_named, "decodable"] = False
    rows.loc[is_named, "reason"] = "forgotten: delete it in the source too"
    return rows


def read_limit(file: Path) -> dict[str, Any]:
    """Return what decides which images are near-duplicates: see `near_duplicates`."""
    limit: dict[str, Any] = files.read_json(file) if file.exists() else {}
    return limit if "radius" in limit else {"n_images": 0}


def near_duplicates(
    measured: pd.DataFrame, facts: pa.Table, limit: dict[str, Any], remembered: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the pairs as `sha256`, `partner` and `distance`, one content for all with equal pixels, and their limit.

    The limit is the `distance` below which two are one picture, with the `radius` and `middle` of `neighbours.Look`. It
    stays until the images are twice `n_images`, so that growth does not change what is a near-duplicate.
    """
    one_each = measured[measured["pixels"].notna()].drop_duplicates("pixels").sort_values("sha256")
    thumbnails = scan.Thumbnails(facts, one_each["fact"].to_numpy(np.int64))
    if len(thumbnails) >= 2 * limit["n_images"]:
        in_order = scan.Thumbnails(facts, one_each.sort_values("path")["fact"].to_numpy(np.int64))
        limit = {"distance": round(neighbours.calibrate(in_order, SEED), 6), "n_images": len(thumbnails)}
        limit |= asdict(neighbours.look(thumbnails))
    how = neighbours.Look(tuple(limit["middle"]), limit["radius"])
    pairs, distance = near.candidates(thumbnails, one_each["pixels"], how, remembered)
    pairs, distance = pairs[distance <= limit["distance"]], distance[distance <= limit["distance"]]
    sha256 = one_each["sha256"].to_numpy()
    found = {"sha256": sha256[pairs[:, 0]], "partner": sha256[pairs[:, 1]], "distance": distance.round(4)}
    return pd.DataFrame(found).astype({"sha256": "str", "partner": "str"}), limit


def divided(measured: pd.DataFrame, known: pd.DataFrame, alike: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with `group` and `split` of the ledger; what must not be used has a `reason` and no split."""
    rows = measured.merge(known[["sha256", "group", "split"]], on="sha256", how="left")
    rows["split"] = rows["split"].where(rows["decodable"] & rows["label"].notna())
    leaks = ledger.leaks(rows, alike)
    rows["reason"] = rows["reason"].where(leaks == "", leaks)
    rows["split"] = rows["split"].where(leaks == "")
    return rows


def write_pairs(file: Path, rows: pd.DataFrame, alike: pd.DataFrame) -> None:
    """Write the near-duplicates, the closest first."""
    known = rows.dropna(subset="sha256").drop_duplicates("sha256").set_index("sha256")
    path, group = known["path"], known["given_group"].replace("", None)
    named = alike.assign(
        path=alike["sha256"].map(path),
        partner=alike["partner"].map(path),
        one_group=alike["sha256"].map(group) == alike["partner"].map(group),
    )
    manifest.write_pairs(file, named.sort_values(["distance", "path", "partner"]))


def check_given(contradictions: pd.DataFrame, kept_in: Path) -> None:
    """Raise `AssayError` if the source wants an image in another split than it has, or a group in two."""
    if contradictions.empty:
        return
    rows = contradictions.head(REFUSED)
    named = "".join(f"\n  {path}: {reason}" for path, reason in zip(rows["path"], rows["reason"], strict=True))
    more = f"\n  and {len(contradictions) - len(rows):,} more" if len(contradictions) > len(rows) else ""
    raise AssayError(
        f"splits: {len(contradictions):,} images are given a split that they cannot have; "
        f"mend the source, or delete {kept_in} to split all anew:{named}{more}"
    )


def summary(rows: pd.DataFrame, task: labels.Task) -> dict[str, Any]:
    """Return the numbers of metrics/data.json; an image counts in each of its classes."""
    used = rows[rows["split"].notna()]
    by_class = labels.counts(used["label"].value_counts().items(), task)
    per_image = round(sum(by_class.values()) / max(len(used), 1), 4)
    of_sets = {"n_in_no_class": int((used["label"] == "").sum()), "classes_per_image": per_image}
    slugs = labels.slugs(by_class)
    return {
        "n_images": len(rows),
        "n_set_aside": len(rows) - len(used),
        "n_copies": int(used["pixels"].duplicated().sum()),
        "n_classes": len(by_class),
        **(of_sets if task == "multi_label" else {}),
        "imbalance": round(max(by_class.values()) / min(by_class.values()), 4) if by_class else 0,
        "split": {split: int((used["split"] == split).sum()) for split in manifest.SPLITS},
        "class": {slugs[label]: n for label, n in by_class.items()},
    }


if __name__ == "__main__":
    stage.run("ingest", main)
