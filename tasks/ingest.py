"""Copy the source's new images into an immutable batch, measure every image, give each its split."""

import pandas as pd

from assay import files, labels, params, progress
from assay.compute import backend
from assay.dataset import manifest, relabels, splits
from assay.images import decode
from assay.ingestion import scan, store
from assay.ingestion.pairs import find, read_limit
from assay.ingestion.rows import divided, summary, without_forgotten, write_pairs
from assay.operations import stage_run
from assay.sources import listing, opening


def main(p: params.Params) -> None:
    backend.keep_memory()  # the looks for near-duplicates take half the time
    images = listing.within(opening.read_snapshot(p.paths.source), p.ingest.max_file_mb)
    measured, facts = scan.scan(images, p.paths.memo.images, decode.reading(p.ingest))
    corrected = relabels.apply(measured, relabels.read(p.paths.relabels))
    measured = corrected.rows
    known = splits.read(p.paths.ledger)
    measured = without_forgotten(measured, known)
    measured["classes"] = [None if pd.isna(label) else labels.names(label, images.task) for label in measured["label"]]
    readable = measured[measured["sha256"].notna()]
    new = splits.with_new(known, readable)
    with store.writing(images, measured, new, p.paths.raw, p.paths.memo.batches) as storing:
        with progress.told("looking for near-duplicates"):
            alike, limit = find(measured, facts, read_limit(p.paths.near_limit), p.paths.memo.pairs)
        shares = {"val": p.ingest.val_share, "test": p.ingest.test_share}
        shares["train"] = 1 - sum(shares.values())
        extended = splits.extend(known, readable, shares, alike)
        refused = splits.contradictions(extended, readable)
        extended = splits.without_refused(extended, known, refused)
        with progress.told("writing the batches"):
            places = store.finish(storing, p.paths.raw, p.paths.memo.batches)
    rows = divided(measured, extended, alike, refused).merge(places, on="sha256", how="left")
    splits.write(p.paths.ledger, extended)
    files.write_json(p.paths.near_limit, limit)
    write_pairs(p.paths.pairs, rows, alike)
    manifest.write(p.paths.manifest, rows, images.task)
    counts = summary(rows, images.task) | {"n_near_duplicates": len(alike)}
    files.write_json(p.paths.metrics.data, {"data": counts})
    n_new = len(extended) - len(known)
    print(f"{images.name}: {len(rows):,} images in {counts['n_classes']} classes, {n_new:,} new contents")
    print(*(f"{split} {n:,}" for split, n in counts["split"].items()), f"set aside {counts['n_set_aside']:,}", sep=", ")
    for note in opening.notes(images):
        print(f"note: {note}")
    print(f"{counts['n_copies']:,} copies, {len(alike):,} pairs of near-duplicates")
    if corrected.n_corrected or corrected.n_overtaken:
        overtaken = f"{corrected.n_overtaken:,} corrections are overtaken: the source says something else by now"
        print(f"{corrected.n_corrected:,} labels corrected by {p.paths.relabels}; {overtaken}")


if __name__ == "__main__":
    stage_run.run("ingest", main)
