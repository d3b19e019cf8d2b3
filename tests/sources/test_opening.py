import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from checkouts import run
from listings import fill, paths
from sklearn.datasets import load_digits

from assay import files
from assay.errors import AssayError
from assay.images import decode
from assay.sources import contents, opening


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of the files lies in the working folder."""
    monkeypatch.chdir(tmp_path_factory.mktemp("checkout"))


def test_first_folder_is_the_class(tmp_path: Path) -> None:
    assert paths(fill(tmp_path, "cat/1.png", "cat/deep/2.png", "dog/3.png")) == {
        "cat/1.png": "cat",
        "cat/deep/2.png": "cat",
        "dog/3.png": "dog",
    }


def test_file_outside_the_classes_is_listed_without_a_label(tmp_path: Path) -> None:
    assert paths(fill(tmp_path, "cat/1.png", "dog/2.png", "stray.png"))["stray.png"] is None


def test_hidden_files_are_not_listed(tmp_path: Path) -> None:
    fill(tmp_path, "cat/1.png", "dog/2.png", "cat/.DS_Store", ".git/x/y")
    assert list(paths(tmp_path)) == ["cat/1.png", "dog/2.png"]


def test_odd_names_are_listed_and_read(tmp_path: Path) -> None:
    odd = ["cat/ü 1.png", "cat/new\nline.png", "dog/1.png"]
    fill(tmp_path, *odd)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/cat/\xff.png")).write_bytes(b"odd")
    images = opening.open_source(f"folder:{tmp_path}")
    assert {entry.path: images.read(entry) for entry in images.entries} == {
        "cat/\\xff.png": b"odd",
        **{path: path.encode() for path in odd},
    }


def test_what_cannot_be_read_is_listed_and_raises_when_read(tmp_path: Path) -> None:
    fill(tmp_path, "cat/1.png", "dog/1.png")
    (tmp_path / "cat/nowhere.png").symlink_to("nothing")
    (tmp_path / "cat/circle.png").symlink_to("circle.png")
    os.mkfifo(tmp_path / "cat/pipe.png")
    images = opening.open_source(f"folder:{tmp_path}")
    unreadable = [entry for entry in images.entries if entry.path not in ("cat/1.png", "dog/1.png")]
    assert len(unreadable) == 3
    for entry in unreadable:
        with pytest.raises(OSError):
            images.read(entry)


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([], "no images in class sub-folders"),
        (["1.png", "2.png"], "no images in class sub-folders"),
        (["cat/1.png"], "only one class, 'cat'; a classifier needs at least two"),
    ],
)
def test_source_without_two_classes_is_refused(tmp_path: Path, listed: list[str], said: str) -> None:
    fill(tmp_path, *listed)
    with pytest.raises(AssayError, match=said):
        opening.open_source(f"folder:{tmp_path}")


@pytest.mark.parametrize("name", ["folder:", "table:", "tar:", "keras:", "sklearn:faces", "nonsense", "s3://bucket"])
def test_unknown_source_says_which_are_known(name: str) -> None:
    with pytest.raises(
        AssayError, match="is none of folder:PATH, table:PATH, tar:PATTERN, keras:NAME, tfds:NAME, sklearn:digits"
    ):
        opening.open_source(name)


def test_digits_are_those_of_scikit_learn() -> None:
    images, digits = opening.open_source("sklearn:digits"), load_digits()
    assert len(images.entries) == 1797
    for number in (0, 5, 1796):
        entry = next(entry for entry in images.entries if entry.path.endswith(f"/{number:04d}.png"))
        pixels = decode.prepare(images.read(entry), height_px=8, width_px=8, colour="grey", resize="stretch").squeeze()
        assert entry.label == str(digits.target[number])
        assert (pixels == (digits.images[number] * 255 / 16).round()).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: fill(folder, "cat/new.png"), "now holds 3 images, not 2"),
        (lambda folder: (folder / "cat/1.png").write_bytes(b"longer than before"), "but other names or contents"),
        (lambda folder: (folder / "cat/1.png").write_bytes(b"cat/2.png"), "but other names or contents"),
        (lambda folder: (folder / "cat/1.png").rename(folder / "cat/2.png"), "but other names or contents"),
    ],
)
def test_source_that_no_longer_matches_its_snapshot_is_refused(
    tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    folder = fill(tmp_path / "images", "cat/1.png", "dog/1.png")
    taken = tmp_path / "source.json"
    files.write_json(taken, opening.snapshot(opening.open_source(f"folder:{folder}")))
    assert len(opening.read_snapshot(taken).entries) == 2
    change(folder)
    with pytest.raises(AssayError, match=said) as raised:
        opening.read_snapshot(taken)
    assert f"run `assay snapshot folder:{folder}`" in str(raised.value)


def test_snapshot_is_of_the_contents_wherever_and_whenever_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        fill(tmp_path / name / "images", "cat/1.png", "dog/1.png")
    monkeypatch.chdir(tmp_path / "here")
    first = opening.snapshot(opening.open_source("folder:images"))
    os.utime("images/cat/1.png", (0, 0))
    assert opening.snapshot(opening.open_source("folder:images")) == first
    monkeypatch.chdir(tmp_path / "there")
    assert opening.snapshot(opening.open_source("folder:images")) == first


def test_files_that_did_not_change_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "images", "cat/1.png", "cat/2.png", "dog/1.png")
    read: list[str] = []
    monkeypatch.setattr(contents, "_hash", lambda place: (read.append(place), hashlib.sha256().hexdigest())[1])
    for at, changed in enumerate(("cat/1.png", "cat/2.png")):
        opening.snapshot(opening.open_source(f"folder:{folder}"))
        (folder / changed).write_bytes(b"something else")
        os.utime(folder / "dog/1.png", (at, at))  # a clock may tick only every few milliseconds
    opening.snapshot(opening.open_source(f"folder:{folder}"))
    in_order = [
        sorted(Path(place).relative_to(folder).as_posix() for place in some) for some in (read[:3], read[3:5], read[5:])
    ]
    assert in_order == [["cat/1.png", "cat/2.png", "dog/1.png"], ["cat/1.png", "dog/1.png"], ["cat/2.png", "dog/1.png"]]


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"source": 3}'])
def test_file_that_is_no_snapshot_says_what_to_run(tmp_path: Path, content: str | None) -> None:
    taken = tmp_path / "source.json"
    if content is not None:
        taken.write_text(content)
    with pytest.raises(AssayError, match="run `assay snapshot SOURCE`"):
        opening.read_snapshot(taken)


def test_columns_of_a_table_are_kept_in_the_snapshot_and_said_in_its_command(tmp_path: Path) -> None:
    table = fill(tmp_path, "a.png", "b.png") / "t.csv"
    table.write_text("file,the class\na.png,cat\nb.png,dog\n")
    taken = tmp_path / "source.json"
    columns = {"path": "file", "label": "the class"}
    files.write_json(taken, opening.snapshot(opening.open_source(f"table:{table}", columns)))
    assert [entry.label for entry in opening.read_snapshot(taken).entries] == ["cat", "dog"]
    table.write_text("file,the class\na.png,cat\nb.png,cow\n")
    with pytest.raises(AssayError, match="2 images, but other names, contents or labels") as raised:
        opening.read_snapshot(taken)
    assert f"run `assay snapshot table:{table} --path file --label 'the class'`" in str(raised.value)


@pytest.mark.parametrize(("option", "said"), [("label", "--label"), ("label_columns", "--label-columns")])
def test_columns_are_for_tables_only(tmp_path: Path, option: str, said: str) -> None:
    with pytest.raises(AssayError, match=f"{said} is for table:PATH"):
        opening.open_source(f"folder:{tmp_path}", {option: "class"})


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (
            "path,tags\na.png,cat; dog\nb.png,\n",
            {"labels": "tags", "separator": "; "},
            "--labels tags --separator '; '",
        ),
        ("path,cat,dog\na.png,1,1\nb.png,,\n", {"label_columns": "cat,dog"}, "--label-columns cat,dog"),
    ],
)
def test_snapshot_of_a_multi_label_table_is_read_and_said_again_as_it_was(
    tmp_path: Path, content: str, options: dict[str, str], said: str
) -> None:
    table = fill(tmp_path, "a.png", "b.png") / "t.csv"
    table.write_text(content)
    files.write_json(tmp_path / "source.json", opening.snapshot(opening.open_source(f"table:{table}", options)))
    again = opening.read_snapshot(tmp_path / "source.json")
    assert [entry.label for entry in again.entries] == ["cat|dog", None]
    assert files.read_json(tmp_path / "source.json")["task"] == "multi_label"
    table.write_text(content.replace("b.png,\n", "b.png,; \n").replace("b.png,,", "b.png,0,0"))  # now: in no class
    with pytest.raises(AssayError, match="but other names, contents or labels") as raised:
        opening.read_snapshot(tmp_path / "source.json")
    assert f"table:{table} {said}`" in str(raised.value)


def test_one_class_is_enough_where_an_image_may_be_in_none(tmp_path: Path) -> None:
    table = fill(tmp_path, "a.png", "b.png") / "t.csv"
    table.write_text("path,crack\na.png,1\nb.png,0\n")
    assert opening.class_names(opening.open_source(f"table:{table}", {"label_columns": "crack"})) == ("crack",)
    table.write_text("path,crack\na.png,0\nb.png,0\n")
    with pytest.raises(AssayError, match="no images with a label"):
        opening.open_source(f"table:{table}", {"label_columns": "crack"})


def test_snapshot_command_names_the_table_from_here_and_keeps_its_columns(checkout: Path) -> None:
    table = fill(checkout / "photos", "a.png", "b.png") / "t.csv"
    table.write_text("file,label\na.png,cat\nb.png,dog\n")
    printed = run(checkout, "assay", "snapshot", f"table:{table}", "--path", "file")
    assert "table:photos/t.csv, 2 images in 2 classes" in printed
    taken = files.read_json(checkout / "data/source.json")
    assert (taken["source"], taken["options"]) == ("table:photos/t.csv", {"path": "file"})


def test_snapshot_command_takes_several_labels(checkout: Path) -> None:
    table = fill(checkout / "photos", "a.png", "b.png") / "t.csv"
    table.write_text("path,cat,dog\na.png,1,1\nb.png,0,0\n")
    printed = run(checkout, "assay", "snapshot", f"table:{table}", "--label-columns", "cat,dog")
    assert "2 images in 2 classes, multi-label\nclasses: cat, dog" in printed
    assert files.read_json(checkout / "data/source.json")["options"] == {"label_columns": "cat,dog"}
    assert "multi-label\nclasses: cat, dog\nunchanged" in run(checkout, "assay", "snapshot")
    printed = run(checkout, "assay", "snapshot", "--label-columns", "dog", code=1)
    assert printed == "assay: snapshot: --label-columns is for a SOURCE, and none is given\n"
    printed = run(checkout, "assay", "snapshot", f"table:{table}", "--label-columns", "cat,cow", code=1)
    assert "no column 'cow'" in printed
    assert "Traceback" not in printed


def test_snapshot_command_writes_the_file_and_says_what_is_next(checkout: Path, images: Path) -> None:
    before = (checkout / "data/source.json").read_bytes()
    assert "unchanged" in run(checkout, "assay", "snapshot", str(images))
    (images / "ape/more.png").write_bytes((images / "ape/000.png").read_bytes())
    assert "151 images in 3 classes" in run(checkout, "assay", "snapshot", f"folder:{images}")
    assert (checkout / "data/source.json").read_bytes() != before


def test_refused_snapshot_leaves_the_old_one(checkout: Path, tmp_path: Path) -> None:
    before = (checkout / "data/source.json").read_bytes()
    (tmp_path / "empty").mkdir()
    printed = run(checkout, "assay", "snapshot", str(tmp_path / "empty"), code=1)
    assert "no images in class sub-folders" in printed
    assert "Traceback" not in printed
    assert (checkout / "data/source.json").read_bytes() == before


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    fill(tmp_path / "disk", "cow/1.png", "cow/deep/2.png")
    fill(tmp_path / "set", "ape/1.png", "bee/1.png")
    (tmp_path / "set/cow").symlink_to(tmp_path / "disk/cow")
    (tmp_path / "set/ape/more").symlink_to("../../disk/cow/deep")
    images = opening.open_source(f"folder:{tmp_path}/set")
    assert [entry.path for entry in images.entries] == [
        "ape/1.png",
        "ape/more/2.png",
        "bee/1.png",
        "cow/1.png",
        "cow/deep/2.png",
    ]
    assert images.read(images.entries[-1]) == b"cow/deep/2.png"
    assert len(opening.open_unlabelled(f"folder:{tmp_path}/set").entries) == 5


@pytest.mark.parametrize("to", ["..", "../..", ".", "/"])
def test_link_to_a_folder_above_is_named(tmp_path: Path, to: str) -> None:
    fill(tmp_path / "set", "ape/1.png", "bee/1.png")
    (tmp_path / "set/ape/again").symlink_to(to)
    with pytest.raises(AssayError, match=r"set/ape/again: a link to .*, which it lies in: a circle; remove the link"):
        opening.open_source(f"folder:{tmp_path}/set")


def test_two_folders_that_link_to_each_other_are_a_circle(tmp_path: Path) -> None:
    fill(tmp_path / "set", "ape/1.png", "bee/1.png")
    (tmp_path / "set/ape/x").symlink_to("../bee")
    (tmp_path / "set/bee/y").symlink_to("../ape")
    with pytest.raises(AssayError, match="a circle"):
        opening.open_source(f"folder:{tmp_path}/set")


def test_link_to_a_class_that_is_gone_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "ape/1.png", "bee/1.png")
    (tmp_path / "cow").symlink_to("/disk2/cow")
    with pytest.raises(AssayError, match="cow: a link to /disk2/cow, which is not there; mend the link"):
        opening.open_source(f"folder:{tmp_path}")
