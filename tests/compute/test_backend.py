"""Backends: the same bytes from threads, processes, Dask and Ray, and an error in seconds where there is no cluster."""

import dataclasses
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from checkouts import ROOT, draw, png
from clusters import dask_address, ray_address
from hypothesis import given
from hypothesis import strategies as st
from pictures import encode
from PIL import Image
from predicted import classifier, images, told

from assay import Classifier, files, params
from assay.compute import backend, fingerprint
from assay.dataset import manifest, packing
from assay.errors import AssayError
from assay.images import decode
from assay.inference import inputs, predict
from assay.ingestion import chunk, scan
from assay.sources import opening
from tasks import ingest, preprocess

__all__ = ["classifier", "dask_address", "images", "ray_address"]  # fixtures


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> params.Paths:
    """A folder to work in, and a source of 90 small images, 12 photos and three that cannot be used."""
    images = tmp_path / "images"
    draw(images, 30)
    for seed in range(12):
        pixels = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)
        picture = Image.fromarray(pixels).resize((400, 300), Image.Resampling.BICUBIC)
        (images / "bee" / f"photo{seed}.jpg").write_bytes(encode(picture, "JPEG"))
    (images / "ape/broken.png").write_bytes(b"broken")
    (images / "ape/cut.png").write_bytes(png(1)[:-40])
    (images / "ape/circle.png").symlink_to("circle.png")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for variable in (backend.BACKEND, backend.ADDRESS):
        monkeypatch.delenv(variable, raising=False)
    return params.load(ROOT / "params.yaml").paths


def run(paths: params.Paths) -> dict[str, str]:
    """Return the SHA-256 of every file that ingest and preprocess leave, by name, after a clean run."""
    for file in [*Path("data").rglob("*"), *Path(".assay").rglob("*")]:
        if file.is_file():
            file.unlink()
    p = params.load(ROOT / "params.yaml")
    p = dataclasses.replace(p, preprocess=dataclasses.replace(p.preprocess, shard_images=20, resize="pad"))
    files.write_json(paths.source, opening.snapshot(opening.open_source("folder:../images")))
    ingest.main(p)
    files.write_json(paths.passed, {"gate": "open", "manifest": files.sha256(paths.manifest), "set_aside": []})
    preprocess.main(p)
    made = [file for file in Path("data").rglob("*") if file.is_file()]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in made}


@pytest.mark.slow
def test_processes_make_the_same_bytes_as_threads(paths: params.Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    of_threads = run(paths)
    monkeypatch.setattr(backend, "PROCESSES_FROM", 0)
    assert run(paths) == of_threads
    rows = manifest.read(paths.manifest)
    assert (len(rows), rows["decodable"].sum()) == (105, 102)
    assert len(list(paths.records.iterdir())) > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dask", "ray"])
def test_cluster_makes_the_same_bytes(
    paths: params.Paths, name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = run(paths)
    monkeypatch.setenv(backend.BACKEND, name)
    monkeypatch.setenv(backend.ADDRESS, request.getfixturevalue(f"{name}_address"))
    assert run(paths) == here


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dask", "ray"])
def test_cluster_measures_images_that_only_this_process_has(
    tmp_path: Path, name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = opening.open_source("sklearn:digits")
    some = dataclasses.replace(digits, entries=digits.entries[:200])
    here = scan.scan(some, tmp_path / "here")
    monkeypatch.setenv(backend.BACKEND, name)
    monkeypatch.setenv(backend.ADDRESS, request.getfixturevalue(f"{name}_address"))
    there = scan.scan(some, tmp_path / "there")
    assert there[0].equals(here[0])
    assert there[1].equals(here[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dask", "ray"])
def test_fault_of_a_worker_is_the_same_error_as_here(
    paths: params.Paths, name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(backend.BACKEND, name)
    monkeypatch.setenv(backend.ADDRESS, request.getfixturevalue(f"{name}_address"))
    with pytest.raises(AssayError, match="another version of Assay or Pillow"):
        list(backend.results(chunk.measured, [chunk.Chunk("other code", decode.USUAL, None, (), ())], 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dask", "ray"])
def test_worker_that_dies_at_each_try_is_an_error_and_no_wait_for_ever(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(backend.BACKEND, name)
    monkeypatch.setenv(backend.ADDRESS, request.getfixturevalue(f"{name}_address"))
    with pytest.raises(AssayError, match=f"ASSAY_BACKEND={name}: a worker died, perhaps for want of memory: "):
        list(backend.results(os._exit, [9] * 3, 3))
    assert list(backend.results(abs, [-1, 2, -3] * 9, 3)) == [1, 2, 3] * 9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dask", "ray"])
def test_a_real_cluster_answers_as_this_machine(
    classifier: Classifier,
    images: list[str],
    name: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_one = told(predict.stream(classifier, inputs.listed(images)))
    monkeypatch.setenv(backend.BACKEND, name)
    monkeypatch.setenv(backend.ADDRESS, request.getfixturevalue(f"{name}_address"))
    assert told(predict.stream(classifier, inputs.listed(images))) == of_one


@pytest.mark.parametrize(
    ("name", "address", "said"),
    [
        ("slurm", "", "ASSAY_BACKEND: 'slurm' is none of loky, dask, ray"),
        ("dask", "", "ASSAY_BACKEND_ADDRESS: '' is no address of a cluster; ASSAY_BACKEND=dask wants tcp://10.0.0.5:8786"),
        ("dask", "here", "'here' is no address of a cluster"),
        ("ray", "10.0.0.5", "'10.0.0.5' is no address of a cluster; ASSAY_BACKEND=ray wants 10.0.0.5:6379, or auto"),
        ("dask", "tcp://127.0.0.1:1", "ASSAY_BACKEND_ADDRESS: nothing answers at tcp://127.0.0.1:1: "),
        ("ray", "127.0.0.1:1", "ASSAY_BACKEND_ADDRESS: nothing answers at 127.0.0.1:1: "),
        ("ray", "ray://127.0.0.1:1", "ASSAY_BACKEND_ADDRESS: nothing answers at ray://127.0.0.1:1: "),
        ("ray", "127.0.0.1:99999", "ASSAY_BACKEND_ADDRESS: nothing answers at 127.0.0.1:99999: "),
    ],
)  # fmt: skip
def test_backend_that_is_not_there_is_named(
    name: str, address: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(backend.BACKEND, name)
    monkeypatch.setenv(backend.ADDRESS, address)
    with pytest.raises(AssayError) as raised:
        list(backend.results(str, [1], 1))
    assert said in str(raised.value)


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_server_that_says_nothing_is_no_cluster(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "WAIT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        monkeypatch.setenv(backend.BACKEND, name)
        monkeypatch.setenv(backend.ADDRESS, f"tcp://{address}" if name == "dask" else address)
        with pytest.raises(AssayError, match=f"ASSAY_BACKEND_ADDRESS: nothing answers at .*{address}: timed out"):
            list(backend.results(str, [1], 1))


def test_image_that_only_this_machine_can_read_stops_the_run(paths: params.Paths) -> None:
    images = opening.open_source("folder:../images")
    rows = [{"sha256": None, "reason": "cannot be read: No such file or directory"}]
    sound = tuple(entry for entry in images.entries if entry.path == "ape/000.png")
    with pytest.raises(AssayError, match=r"a worker cannot read .*ape/000.png .* and this machine can"):
        chunk.check_seen(rows, images, sound)
    circle = tuple(entry for entry in images.entries if entry.path == "ape/circle.png")
    chunk.check_seen(rows, images, circle)


def test_batch_that_a_worker_does_not_see_is_named(tmp_path: Path) -> None:
    shard = packing.Shard(
        made_by=fingerprint.fingerprint(packing.CODE), batch=tmp_path / "1.tar", members=(),
        preparation=decode.Preparation(height_px=1, width_px=1, colour="grey", resize="stretch"),
        folder=tmp_path, split="train",
    )  # fmt: skip
    with pytest.raises(AssayError, match=r"1\.tar: not there for a worker"):
        packing.write(shard)


def test_images_in_the_memory_of_this_process_are_read_here(paths: params.Paths) -> None:
    assert chunk.travels(opening.open_source("folder:../images"))
    digits = opening.open_source("sklearn:digits")
    assert not chunk.travels(digits)
    some = (("a", digits.entries[0]), ("b", digits.entries[1]))
    planned = chunk.plan(digits, some, fingerprint.fingerprint(chunk.CODE), decode.USUAL)
    assert planned.contents == (digits.read(digits.entries[0]), digits.read(digits.entries[1]))
    assert [row["key"] for row in chunk.measured(planned)] == ["a", "b"]


@given(st.integers(0, 300), st.integers(1, 70))
def test_chunks_hold_every_item_in_order_and_none_too_many(n: int, most: int) -> None:
    found = list(backend.chunks(iter(range(n)), most, n))
    assert [item for some in found for item in some] == list(range(n))
    assert all(0 < len(some) <= most for some in found)


def test_units_are_made_as_they_are_used() -> None:
    made: list[int] = []

    def units() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    work = backend.results(slowly, units(), 1)
    assert [next(work) for _ in range(3)] == [0, 1, 2]
    assert len(made) < 200
    assert len(list(work)) == 997


def slowly(number: int) -> int:
    time.sleep(0.002)
    return number


@pytest.mark.parametrize("way", [backend.results, backend.ahead])
def test_worker_that_dies_is_told_of(way: Callable[..., Iterator[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "PROCESSES_FROM", 0)
    with pytest.raises(AssayError, match="ASSAY_BACKEND=loky: a worker died, perhaps for want of memory"):
        list(way(os._exit, [1], 1))


@pytest.mark.parametrize("way", ["results", "ahead"])
@pytest.mark.parametrize("n_units", [1, 9])  # of one unit most processes have no work
def test_processes_end_with_the_run_that_was_killed(way: str, n_units: int) -> None:
    works = f"backend.PROCESSES_FROM = 0; list(backend.{way}(time.sleep, [60] * {n_units}, 9))"
    run = subprocess.Popen([sys.executable, "-c", f"import time; from assay.compute import backend; {works}"], cwd=ROOT)
    until = time.monotonic() + 60
    while time.monotonic() < until and len(workers := children(run.pid)) < 2:
        time.sleep(0.1)
    time.sleep(1)  # they have begun
    run.kill()
    run.wait()
    assert len(workers) >= 2
    assert psutil.wait_procs(workers, timeout=20)[1] == []


def test_processes_end_with_the_work_and_others_begin_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "PROCESSES_FROM", 0)
    work = backend.ahead(abs, [-1, -2], 2)
    assert next(work) == 1
    workers = children(os.getpid())
    assert workers
    assert list(work) == [2]
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    assert list(backend.results(abs, [-3], 1)) == [3]


def children(parent: int) -> list[psutil.Process]:
    return [each for each in psutil.Process(parent).children() if "LokyProcess" in " ".join(each.cmdline())]


def test_shards_of_one_split_may_be_written_at_once(tmp_path: Path) -> None:
    from assay.dataset.records import contents, shard

    barrier = threading.Barrier(4)

    def write(level: int) -> str:
        def examples() -> Iterator[contents.Example]:
            barrier.wait(10)
            yield contents.Example(image=np.full((2, 2, 1), level, np.uint8), label=0, sha256="0" * 64)

        return shard.write(tmp_path, "train", examples())

    with ThreadPoolExecutor(4) as threads:
        names = list(threads.map(write, range(4)))
    assert sorted(names) == sorted(file.name for file in tmp_path.iterdir())
    assert len(set(names)) == 4
    assert all(shard.is_whole(tmp_path / name) for name in names)
