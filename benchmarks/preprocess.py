"""Print what one image costs in `preprocess`, beside a bare decode and resize: `python -m benchmarks.preprocess`.

The photos are those of measure.py. A way is run by one process, then by two that share the photos; the ways take turns.
`bare` opens, decodes and resizes with Pillow to an array and writes nothing; `ours` is all that `preprocess` does to a
shard; `tensorflow` is the usual eager script. README.md beside this says what came out.
"""

import hashlib
import io
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from assay.compute import backend, fingerprint
from assay.dataset import batches, packing
from assay.dataset.records import shard as records
from assay.images.decode import Preparation
from benchmarks.measure import draw

CASES = {(500, 400, 64): 1200, (500, 400, 224): 3000, (3000, 2000, 224): 240}  # width, height, side wanted: photos
DRAWN = 60  # different photos; the others differ in their last bytes only
ROUNDS = 5
SHARD_IMAGES = 150
SCALES = (8, 4, 2, 1)


def main() -> None:
    print("| photos | workers | way | CPU ms per image | wall ms per image | bare / way | by the clock | way / ours |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for (width, height, side_px), n in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            write_photos(Path(folder), (width, height), n)
            for workers in (1, 2):
                print_rows(Path(folder), f"{width}x{height} to {side_px}", side_px, n, workers)


def write_photos(folder: Path, size: tuple[int, int], n: int) -> None:
    drawn = []
    for seed in range(min(n, DRAWN)):
        photo = io.BytesIO()
        draw(seed, size).save(photo, "JPEG", quality=85)
        drawn.append(photo.getvalue())
    contents = [drawn[number % len(drawn)] + number.to_bytes(4, "big") for number in range(n)]
    for number, content in enumerate(contents):
        (folder / f"{number:05d}.jpg").write_bytes(content)
    batches.write(folder / "batch.tar", [(hashlib.sha256(content).hexdigest(), content) for content in contents])
    offsets = batches.read_offsets(folder / "batch.tar").items()
    members = [(offset, len(content), sha256, 0) for (sha256, offset), content in zip(offsets, contents, strict=True)]
    (folder / "members.json").write_text(json.dumps(members))


def print_rows(folder: Path, case: str, side_px: int, n: int, workers: int) -> None:
    ways: dict[str, Callable[..., None]] = {"bare": bare, "ours": ours, "tensorflow": tensorflow}
    rounds = [{name: run(way, folder, side_px, n, workers) for name, way in ways.items()} for _ in range(ROUNDS)]
    rows: dict[str, list[tuple[float, float]]] = {name: [each[name][0] for each in rounds] for name in ways}
    rows["tensorflow, with its import"] = [each["tensorflow"][1] for each in rounds]
    for name, times in rows.items():
        cpu, wall = (statistics.median(column) / n * 1e3 for column in zip(*times, strict=True))
        beside_bare = (statistics.median(b[n] / t[n] for b, t in zip(rows["bare"], times, strict=True)) for n in (0, 1))
        beside_ours = statistics.median(t[0] / o[0] for o, t in zip(rows["ours"], times, strict=True))
        figures = [f"{each:.2f}" for each in (cpu, wall, *beside_bare, beside_ours)]
        print("|", " | ".join([case, str(workers), name, *figures]), "|", flush=True)


def run(
    way: Callable[..., None], folder: Path, side_px: int, n: int, workers: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return CPU (summed) and wall seconds (of the slowest worker): of the work, and with the imports before it."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    cuts = [n * worker // workers for worker in range(workers + 1)]
    children = [context.Process(target=timed, args=(told, way, folder, side_px, *cut)) for cut in pairwise(cuts)]
    for child in children:
        child.start()
    found = [told.get() for _ in children]
    for child in children:
        child.join()
    work, whole = zip(*found, strict=True)
    return (sum(w[0] for w in work), max(w[1] for w in work)), (sum(w[0] for w in whole), max(w[1] for w in whole))


def timed(told: "multiprocessing.Queue[object]", way: Callable[..., None], *arguments: object) -> None:
    begun = time.process_time(), time.perf_counter()
    if way is tensorflow:
        load_tensorflow()
    ready = time.process_time(), time.perf_counter()
    way(*arguments)
    done = time.process_time(), time.perf_counter()
    told.put(((done[0] - ready[0], done[1] - ready[1]), (done[0] - begun[0], done[1] - begun[1])))


def bare(folder: Path, side_px: int, start: int, end: int) -> None:
    backend.keep_memory()
    for number in range(start, end):
        photo = Image.open(io.BytesIO((folder / f"{number:05d}.jpg").read_bytes()))
        # As far reduced as ours: two decoded pixels are left for each wanted one.
        scale = next(scale for scale in SCALES if min(photo.size) >= 2 * scale * side_px or scale == 1)
        if scale > 1:
            photo.draft(None, (photo.width // scale, photo.height // scale))
        photo.load()
        np.asarray(photo.resize((side_px, side_px), Image.Resampling.BILINEAR))


def ours(folder: Path, side_px: int, start: int, end: int) -> None:
    members = [packing.Member(*each) for each in json.loads((folder / "members.json").read_text())[start:end]]
    waits, settled = [], ThreadPoolExecutor(1)  # as `preprocess` does beside its workers
    for cut in range(0, len(members), SHARD_IMAGES):
        shard = packing.Shard(
            made_by=fingerprint.fingerprint(packing.CODE),
            batch=folder / "batch.tar",
            members=tuple(members[cut : cut + SHARD_IMAGES]),
            preparation=Preparation(height_px=side_px, width_px=side_px, colour="rgb", resize="stretch"),
            folder=folder / "records",
            split="train",
        )
        waits.append(settled.submit(records.settle, shard.folder / packing.write(shard)))
    for wait in waits:
        wait.result()


def load_tensorflow() -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.constant(0)  # the first operation sets up the rest


def tensorflow(folder: Path, side_px: int, start: int, end: int) -> None:
    import tensorflow as tf

    def feature(content: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))

    with tf.io.TFRecordWriter(str(folder / f"tensorflow-{start}.tfrecord")) as out:
        for number in range(start, end):
            pixels = tf.io.decode_jpeg(tf.io.read_file(str(folder / f"{number:05d}.jpg")), channels=3)
            resized = tf.image.resize(pixels, (side_px, side_px), antialias=True)
            content = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8).numpy().tobytes()
            label = tf.train.Feature(int64_list=tf.train.Int64List(value=[0]))
            features = tf.train.Features(feature={"image": feature(content), "label": label})
            out.write(tf.train.Example(features=features).SerializeToString())


if __name__ == "__main__":
    main()
