"""Copy the source's new images into an immutable batch, measure every image, give each its split."""

from functools import partial

import pandas as pd
import pyarrow as pa

from assay import files, labels, params, progress
from assay.compute import backend, memo
from assay.dataset import manifest, relabels, splits
from assay.images import decode
from assay.ingestion import scan, store
from assay.ingestion.pairs import find, read_limit
from assay.ingestion.rows import divided, joined, summary, without_forgotten, write_pairs
from assay.operations import stage_run
from assay.sources import listing, opening

NEEDED = ("sha256", "bytes", "decodable", "reason", "pixels")  # of what is measured; the rest stays on the disk


def main(p: params.Params) -> None:
    backend.keep_memory()  # the looks for near-duplicates take half the time
    images = listing.within(opening.read_snapshot(p.paths.source), p.ingest.max_file_mb)
    measured, facts = scan.scan(images, p.paths.memo.images, decode.reading(p.ingest), NEEDED)
    backend.hand_back_memory()
    corrected = relabels.apply(measured, relabels.read(p.paths.relabels))
    rows, alike, n_new = taken_in(p, images, corrected.rows, facts)
    backend.hand_back_memory()
    write_pairs(p.paths.pairs, rows, alike)
    manifest.write(p.paths.manifest, rows, images.task, partial(scan.taken, facts))
    counts = summary(rows, images.task) | {"n_near_duplicates": len(alike)}
    files.write_json(p.paths.metrics.data, {"data": counts})
    print(f"{images.name}: {len(rows):,} images in {counts['n_classes']} classes, {n_new:,} new contents")
    print(*(f"{split} {n:,}" for split, n in counts["split"].items()), f"set aside {counts['n_set_aside']:,}", sep=", ")
    for note in opening.notes(images):
        print(f"note: {note}")
    print(f"{counts['n_copies']:,} copies, {len(alike):,} pairs of near-duplicates")
    if corrected.n_corrected or corrected.n_overtaken:
        overtaken = f"{corrected.n_overtaken:,} corrections are overtaken: the source says something else by now"
        print(f"{corrected.n_corrected:,} labels corrected by {p.paths.relabels}; {overtaken}")


def taken_in(
    p: params.Params, images: listing.Source, measured: pd.DataFrame, facts: pa.Table
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Write the batches, the ledger and the limit; return the manifest's rows, the near-duplicates, the new contents.

    What this needs by the way is as large as all rows, and gone when they are written.
    """
    known = splits.read(p.paths.ledger)
    backend.hand_back_memory()
    measured = without_forgotten(measured, known)
    classes = {label: labels.names(label, images.task) for label in measured["label"].dropna().unique()}
    measured["classes"] = [classes.get(label) for label in measured["label"]]
    new = splits.with_new(known, measured)
    with store.writing(images, measured, new, p.paths.raw, p.paths.memo.batches) as storing:
        with progress.told("looking for near-duplicates"):
            alike, limit = find(measured, facts, read_limit(p.paths.near_limit), p.paths.memo.pairs)
        memo.unload()
        backend.hand_back_memory()
        shares = {"val": p.ingest.val_share, "test": p.ingest.test_share}
        shares["train"] = 1 - sum(shares.values())
        extended = splits.extend(known, measured, shares, alike)
        refused = splits.contradictions(extended, measured)
        extended = splits.without_refused(extended, known, refused)
        with progress.told("writing the batches"):
            places = store.finish(storing, p.paths.raw, p.paths.memo.batches)
    rows = joined(divided(measured, extended, alike, refused), places)
    splits.write(p.paths.ledger, extended)
    files.write_json(p.paths.near_limit, limit)
    return rows, alike, len(extended) - len(known)


if __name__ == "__main__":
    stage_run.run("ingest", main)
