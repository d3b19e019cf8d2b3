"""Decode and resize every image once, into TFRecord shards of each split.

A shard is named by its content, so only what changed gets another name. Which shard comes of which images, labels,
parameters and code is remembered beside the pipeline, in a file that may be lost: it saves time and changes no result.
"""

from assay import labels, params, passes
from assay.dataset import manifest
from assay.dataset.records import contents
from assay.dataset.sharding import build, index, plan
from assay.images import decode
from assay.operations import stage_run

COLUMNS = ("path", "label", "split", "sha256", "bytes", "batch", "offset")  # of the manifest


def main(p: params.Params) -> None:
    set_aside = passes.check_open(p.paths.passed, p.paths.manifest)
    rows = manifest.read(p.paths.manifest, COLUMNS)
    rows = rows[rows["split"].notna() & ~rows["path"].isin(set_aside)].drop_duplicates("sha256").sort_values("sha256")
    task = manifest.task(p.paths.manifest)
    classes = labels.classes(rows["label"], task)
    rows["encoded"] = rows["label"].map(
        {label: labels.encode(label, classes, task) for label in rows["label"].unique()}
    )
    prepared = decode.preparation(p.preprocess, p.ingest)
    plans = plan(rows, prepared, p.preprocess.shard_images)
    names, n_new, n_decoded = build(plans, p.paths, prepared)
    contents.write_index(p.paths.index, index(plans, names, classes, task, prepared))
    size = f"{prepared.height_px}x{prepared.width_px} {prepared.colour}"
    print(f"{len(rows):,} images as {size} in {len(plans)} shards, {n_new} of them new, {n_decoded:,} decoded")


if __name__ == "__main__":
    stage_run.run("preprocess", main)
