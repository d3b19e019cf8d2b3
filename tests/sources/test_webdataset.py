import io
import tarfile
from pathlib import Path

import pytest

from assay.errors import AssayError
from assay.sources import webdataset


def tar(file: Path, *members: tuple[str, bytes]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w:gz" if file.suffix == ".gz" else "w") as out:
        for name, content in members:
            about = tarfile.TarInfo(name)
            about.size = len(content)
            out.addfile(about, io.BytesIO(content))
    return file


def labels(pattern: Path) -> dict[str, str | None]:
    return {entry.path: entry.label for entry in webdataset.open_shards("tar", str(pattern)).entries}


def test_members_of_one_stem_belong_together_whatever_their_order(tmp_path: Path) -> None:
    tar(
        tmp_path / "0.tar",
        ("in/1.cls", b"cat\n"), ("in/1.jpg", b"one"), ("in/1.seg.png", b"mask"), ("in/1.txt", b"a cat"),
        ("2.JPEG", b"two"), ("2.json", b'{"label": 7}'), ("3.png", b"three"),
    )  # fmt: skip
    images = webdataset.open_shards("tar", str(tmp_path / "0.tar"))
    assert [(entry.path, entry.label, images.read(entry)) for entry in images.entries] == [
        ("0.tar/2.JPEG", "7", b"two"),
        ("0.tar/3.png", None, b"three"),
        ("0.tar/in/1.jpg", "cat", b"one"),
    ]


def test_stem_belongs_to_its_shard(tmp_path: Path) -> None:
    tar(tmp_path / "a/0.tar", ("1.jpg", b"one"), ("1.cls", b"cat"))
    tar(tmp_path / "b/0.tar", ("1.jpg", b"two"), ("1.cls", b"dog"))
    assert labels(tmp_path / "*/0.tar") == {"a/0.tar/1.jpg": "cat", "b/0.tar/1.jpg": "dog"}


@pytest.mark.parametrize(
    "label", [b"{", b"{}", b"3", b'{"label": null}', b'{"label": ["cat", null]}', b'{"label": "\\ud800"}', b"\xff"]
)
def test_label_that_cannot_be_read_is_none(tmp_path: Path, label: bytes) -> None:
    tar(tmp_path / "0.tar", ("1.jpg", b"one"), ("1.json", label))
    assert labels(tmp_path / "0.tar") == {"0.tar/1.jpg": None}


def test_label_keeps_its_blanks_and_an_empty_one_is_none(tmp_path: Path) -> None:
    tar(tmp_path / "0.tar", ("1.jpg", b"one"), ("1.cls", b" Cat \n"), ("2.jpg", b"two"), ("2.cls", b""))
    assert labels(tmp_path / "0.tar") == {"0.tar/1.jpg": " Cat ", "0.tar/2.jpg": None}


def test_second_member_of_a_name_cannot_be_read(tmp_path: Path) -> None:
    tar(tmp_path / "0.tar", ("1.jpg", b"one"), ("1.jpg", b"two"), ("1.cls", b"cat"))
    images = webdataset.open_shards("tar", str(tmp_path / "0.tar"))
    assert images.read(images.entries[0]) == b"one"
    with pytest.raises(OSError, match="listed twice"):
        images.read(images.entries[1])


def test_cut_and_compressed_shards_are_refused_by_name(tmp_path: Path) -> None:
    whole = tar(tmp_path / "0.tar", ("1.jpg", bytes(2000)), ("1.cls", b"cat"))
    whole.write_bytes(whole.read_bytes()[:1500])
    tar(tmp_path / "1.tar.gz", ("1.jpg", b"one"))
    for name in ("0.tar", "1.tar.gz"):
        with pytest.raises(AssayError, match=rf"{name}: not a whole, uncompressed tar"):
            labels(tmp_path / name)


def test_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssayError, match="no such file"):
        labels(tmp_path / "*.tar")


def test_list_makes_the_set_multi_label_and_a_single_label_one_of_one_class(tmp_path: Path) -> None:
    tar(
        tmp_path / "0.tar",
        ("1.jpg", b"one"), ("1.json", b'{"label": ["dog", " cat", 7, "dog"]}'), ("2.jpg", b"two"), ("2.cls", b"Cow\n"),
        ("3.jpg", b"three"), ("3.json", b'{"labels": []}'), ("4.jpg", b"four"),
    )  # fmt: skip
    assert webdataset.open_shards("tar", str(tmp_path / "0.tar")).task == "multi_label"
    assert labels(tmp_path / "0.tar") == {
        "0.tar/1.jpg": " cat|7|dog",
        "0.tar/2.jpg": "Cow",
        "0.tar/3.jpg": "",
        "0.tar/4.jpg": None,
    }


@pytest.mark.parametrize("other", [("2.cls", b"a|b"), ("2.json", b'{"label": ["a|b"]}')])
def test_class_name_that_a_multi_label_set_cannot_keep_is_refused(tmp_path: Path, other: tuple[str, bytes]) -> None:
    tar(tmp_path / "0.tar", ("1.jpg", b"one"), ("1.json", b'{"label": ["cat"]}'), ("2.jpg", b"two"), other)
    with pytest.raises(AssayError, match=r"0\.tar/2\.jpg: class 'a\|b' holds '\|'.*another name"):
        labels(tmp_path / "0.tar")


def test_single_label_may_hold_the_separator(tmp_path: Path) -> None:
    tar(tmp_path / "0.tar", ("1.jpg", b"one"), ("1.cls", b"a|b"))
    assert labels(tmp_path / "0.tar") == {"0.tar/1.jpg": "a|b"}
