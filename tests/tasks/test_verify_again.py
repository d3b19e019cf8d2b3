"""What `verify` has read once it need not read again, and nothing passes by that which it would refuse."""

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from checkouts import ROOT
from records_made import P, paths, write

from assay import params
from assay.compute import memo
from assay.dataset import manifest
from assay.dataset.records import contents, reader
from assay.errors import GateClosed
from assay.validation import proofs
from tasks import preprocess, verify

__all__ = ["paths"]  # fixtures


@pytest.fixture
def looked(paths: params.Paths, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The shards that are read, of records that were verified once; none is drawn to be read again."""
    read: list[str] = []
    look = proofs._look
    monkeypatch.setattr(proofs, "_look", lambda file, *others: (read.append(file.name), look(file, *others)))
    monkeypatch.setattr(proofs, "_again", lambda names: set())
    paths.expectations.mkdir()
    shutil.copy(ROOT / "expectations/records.yaml", paths.expectations)
    preprocess.main(loaded())
    verify.main(loaded())
    assert sorted(read) == sorted(shards(paths))
    read.clear()
    yield read


def loaded() -> params.Params:
    return dataclasses.replace(params.load(ROOT / "params.yaml"), preprocess=P)


def shards(of: params.Paths) -> list[str]:
    return [name for split in contents.read_index(of.index).splits.values() for name in split.shards]


def left(of: params.Paths) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in [*of.verification.iterdir(), of.verified] if file.exists()}


def rewrite(of: params.Paths, **changed: object) -> None:
    """Give all proofs other content, under a check that is right for it if none is given."""
    (part,) = of.memo.proofs.iterdir()
    table = pa.ipc.open_file(part).read_all()
    rows = []
    for row in table.to_pylist():
        row |= {name: [value] * len(row["label"]) for name, value in changed.items()}
        records = proofs.Records(sha256=row["sha256"], label=row["label"], start=row["start"])
        rows.append(proofs._row(row["key"], records))
    memo.write(of.memo.proofs, pa.Table.from_pylist(rows, proofs.SCHEMA), table.schema.metadata[memo.MADE_BY].decode())


def test_proven_shards_are_not_read_and_the_same_is_left(paths: params.Paths, looked: list[str]) -> None:
    before = left(paths)
    verify.main(loaded())
    assert (looked, left(paths)) == ([], before)
    shutil.rmtree(".assay")
    verify.main(loaded())
    assert (sorted(looked), left(paths)) == (sorted(shards(paths)), before)


def test_some_are_read_all_the_same_others_for_another_set() -> None:
    names = [f"train-{number:016x}.tfrecord" for number in range(1600)]
    drawn = proofs._again(names)
    assert proofs._again(names) == drawn
    assert 60 <= len(drawn) <= 140  # of 100 that are expected
    assert len(drawn & proofs._again(names[1:])) <= 30


def test_altered_byte_is_found_though_size_and_time_are_as_before(paths: params.Paths, looked: list[str]) -> None:
    file = paths.records / shards(paths)[0]
    was, content = file.stat(), bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    with file.open("r+b") as out:  # the same inode too
        out.write(content)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    with pytest.raises(GateClosed, match="its content is cut or altered"):
        verify.main(loaded())
    assert not paths.verified.exists()
    assert sorted(set(looked)) == sorted(shards(paths))  # all: nothing is refused by a proof
    of_proofs = left(paths)
    shutil.rmtree(".assay")
    with pytest.raises(GateClosed):
        verify.main(loaded())
    assert left(paths) == of_proofs


def test_label_that_changed_since_the_proof_is_refused(paths: params.Paths, looked: list[str]) -> None:
    """The proof says what the shard holds, and the manifest what it should."""
    rows = manifest.read(paths.manifest)
    write(paths, rows.assign(label=rows["label"].map({"a": "b", "b": "a"})))
    with pytest.raises(GateClosed, match="each image under its label: 10 of 10"):
        verify.main(loaded())


def test_proof_that_is_wrong_or_damaged_refuses_nothing(paths: params.Paths, looked: list[str]) -> None:
    before = left(paths)
    rewrite(paths, label="another")
    verify.main(loaded())
    assert (sorted(looked), left(paths)) == (sorted(shards(paths)), before)
    looked.clear()
    (part,) = paths.memo.proofs.iterdir()
    sha256 = next(reader.read(paths.records / shards(paths)[0], contents.read_index(paths.index))).sha256
    content = part.read_bytes()
    assert sha256.encode() in content
    part.write_bytes(content.replace(sha256.encode(), sha256[::-1].encode()))
    verify.main(loaded())
    assert (looked, left(paths)) == ([shards(paths)[0]], before)


def test_proofs_of_other_code_or_another_form_are_none(
    paths: params.Paths, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "CODE", proofs.CODE[:-1])
    verify.main(loaded())
    assert sorted(looked) == sorted(shards(paths))


def test_disk_that_takes_no_proof_stops_nothing(
    paths: params.Paths, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = left(paths)
    shutil.rmtree(".assay")
    Path(".assay").write_text("no folder")
    monkeypatch.setattr(memo, "_refused", [])
    monkeypatch.setattr(memo, "_held", {})
    monkeypatch.setattr(memo, "_replaced", set())
    verify.main(loaded())
    assert left(paths) == before


def test_proof_says_where_each_record_begins(paths: params.Paths, looked: list[str]) -> None:
    index = contents.read_index(paths.index)
    for shard in proofs.shards(paths.records, index, paths.memo.proofs):
        at = [next(reader.located(paths.records / shard.name, index, start)) for start in shard.records.start]
        assert [(start, example.sha256) for start, example in at] == list(
            zip(shard.records.start, shard.records.sha256, strict=True)
        )
    assert looked == []
