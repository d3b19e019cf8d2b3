from pathlib import Path

import fsspec
import pytest
from listings import fill

from assay.errors import AssayError
from assay.sources import folder


def listed(root: str) -> dict[str, tuple[str | None, str | None]]:
    return {entry.path: (entry.label, entry.split) for entry in folder.open_folder(f"folder:{root}", root).entries}


def test_split_folders_give_the_split_and_hold_the_classes(tmp_path: Path) -> None:
    fill(tmp_path, "train/cat/1.png", "val/cat/2.png", "test/dog/deep/3.png", "readme.txt")
    assert listed(str(tmp_path)) == {
        "test/dog/deep/3.png": ("dog", "test"),
        "train/cat/1.png": ("cat", "train"),
        "val/cat/2.png": ("cat", "val"),
    }


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_val_has_other_names(tmp_path: Path, name: str) -> None:
    assert listed(str(fill(tmp_path, f"{name}/cat/1.png"))) == {f"{name}/cat/1.png": ("cat", "val")}


def test_class_named_train_is_a_class_where_images_lie_right_in_it(tmp_path: Path) -> None:
    assert listed(str(fill(tmp_path, "train/1.png", "car/2.png"))) == {
        "car/2.png": ("car", None),
        "train/1.png": ("train", None),
    }


def test_file_right_below_a_split_has_no_label(tmp_path: Path) -> None:
    assert listed(str(fill(tmp_path, "test/cat/1.png", "test/2.png")))["test/2.png"] == (None, "test")


def test_classes_inside_and_outside_of_split_folders_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, "train/cat/1.png", "dog/2.png")
    with pytest.raises(AssayError, match=r"'train/cat/1.png' lies in a split folder and 'dog/2.png' does not"):
        listed(str(tmp_path))


def test_folder_behind_a_url_is_listed_and_read_as_a_local_one(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    paths = ["cat/1 #?.png", "cat/ü.png", "dog/deep/3.png", "cat/.hidden", ".git/x/y", "stray.png"]
    for path in paths:
        memory.pipe(f"/folder-test/photos/{path}", path.encode())
    fill(tmp_path, *paths)
    there = folder.open_folder("there", "memory://folder-test/photos")
    here = folder.open_folder("here", str(tmp_path))
    assert [(e.path, e.label, e.bytes) for e in there.entries] == [(e.path, e.label, e.bytes) for e in here.entries]
    assert [there.read(entry) for entry in there.entries] == [here.read(entry) for entry in here.entries]


def test_what_is_no_image_by_its_name_is_left_out_and_named(tmp_path: Path) -> None:
    odd = ["README", "LICENSE.txt", "cat/Thumbs.db", "cat/labels.xml", "cat/1.json"]
    fill(tmp_path, *odd, "cat/1.png", "cat/readme.png", "cat/no suffix", "cat/2.raw", "dog/3.png")
    source = folder.open_folder("folder:x", str(tmp_path))
    assert [entry.path for entry in source.entries] == [
        *("cat/1.png", "cat/2.raw", "cat/no suffix", "cat/readme.png", "dog/3.png")
    ]
    assert sorted(source.left_out) == sorted(odd)
    assert folder.open_unlabelled("folder:x", str(tmp_path)).left_out == source.left_out
