import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from listings import fill

from assay.errors import AssayError
from assay.sources import table
from assay.sources.listing import Entry, Source

Rows = list[dict[str, object]]


def as_csv(rows: Rows, file: Path) -> Path:
    pd.DataFrame(rows).to_csv(file.with_suffix(".csv"), index=False)
    return file.with_suffix(".csv")


def as_jsonl(rows: Rows, file: Path) -> Path:
    file.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file.with_suffix(".jsonl")


def as_parquet(rows: Rows, file: Path) -> Path:
    pd.DataFrame(rows).to_parquet(file.with_suffix(".parquet"))
    return file.with_suffix(".parquet")


def open_table(file: Path | str, **columns: str) -> Source:
    return table.open_table(f"table:{file}", str(file), columns)


def write(folder: Path, text: str) -> Path:
    (folder / "t.csv").write_text(text)
    return folder / "t.csv"


@pytest.mark.parametrize("save", [as_csv, as_jsonl, as_parquet])
def test_every_format_holds_the_same(tmp_path: Path, save: Callable[[Rows, Path], Path]) -> None:
    fill(tmp_path, "b.png", "in/a 1.png")
    rows: Rows = [
        {"path": "in/a 1.png", "label": 7, "group": "g\u20281", "split": "test"},
        {"path": "b.png", "label": 12, "group": None, "split": None},
    ]
    images = open_table(save(rows, tmp_path / "t"))
    assert tuple(images.entries) == (
        Entry("b.png", "12", 5, f"{tmp_path}/b.png"),
        Entry("in/a 1.png", "7", 10, f"{tmp_path}/in/a 1.png", "g\u20281", "test"),
    )
    assert [images.read(entry) for entry in images.entries] == [b"b.png", b"in/a 1.png"]


def test_labels_stay_as_they_are_and_an_empty_one_is_none(tmp_path: Path) -> None:
    odd = {"1.png": " cat", "2.png": "Cat ", "3.png": "NA", "4.png": "007", "5.png": "nan", "6.png": ""}
    file = write(tmp_path, "path,label\n" + "".join(f"{path},{label}\n" for path, label in odd.items()))
    assert {entry.path: entry.label for entry in open_table(file).entries} == odd | {"6.png": None}


@pytest.mark.parametrize("path", ["../secret.png", "in/../../secret.png", "/etc/passwd", "file:///etc/passwd", ".."])
def test_path_that_leaves_the_folder_is_a_row_that_cannot_be_read(tmp_path: Path, path: str) -> None:
    fill(tmp_path, "secret.png", "table/a.png")
    images = open_table(write(tmp_path / "table", f"path,label\na.png,cat\n{path},dog\n"))
    (outside,) = [entry for entry in images.entries if entry.path != "a.png"]
    assert (outside.path, outside.label) == (path, "dog")
    with pytest.raises(OSError, match="leaves the source"):
        images.read(outside)


def test_path_may_go_up_within_the_folder(tmp_path: Path) -> None:
    images = open_table(write(fill(tmp_path, "a.png"), "path,label\nin/../a.png,cat\n"))
    assert images.read(images.entries[0]) == b"a.png"


def test_second_row_of_an_image_cannot_be_read_however_it_is_spelled(tmp_path: Path) -> None:
    images = open_table(write(fill(tmp_path, "a.png"), "path,label\na.png,cat\n./a.png,dog\n"))
    assert [(entry.path, entry.label, entry.problem) for entry in images.entries] == [
        ("a.png", "cat", "listed twice, as 'cat' and 'dog'"),
        ("a.png", "dog", "listed twice, as 'cat' and 'dog'"),
    ]
    with pytest.raises(OSError, match="listed twice"):
        images.read(images.entries[1])
    images = open_table(write(tmp_path, "path,label\na.png,cat\na.png,cat\n"))
    assert [entry.problem for entry in images.entries] == ["", "listed twice"]


def test_missing_file_and_missing_path_are_rows_that_cannot_be_read(tmp_path: Path) -> None:
    images = open_table(write(tmp_path, "path,label\nnot there.png,cat\n,dog\n"))
    assert [entry.path for entry in images.entries] == ["(row 2)", "not there.png"]
    for entry, said in zip(images.entries, ["no path", "No such file"], strict=True):
        with pytest.raises(OSError, match=said):
            images.read(entry)


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    file = write(tmp_path, "file,class,patient,label\na.png,cat,p1,ignored\n")
    (entry,) = open_table(file, path="file", label="class", group="patient").entries
    assert (entry.path, entry.label, entry.group) == ("a.png", "cat", "p1")


def test_unknown_column_lists_the_columns_and_the_nearest(tmp_path: Path) -> None:
    file = write(tmp_path, "path,labels\na.png,cat\n")
    with pytest.raises(AssayError, match=r"no column 'label'; it has 'path', 'labels'; did you mean 'labels'\?"):
        open_table(file)
    with pytest.raises(AssayError, match="no column 'patient'; it has"):
        open_table(file, label="labels", group="patient")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "cannot be read: No columns"),
        ("t.csv", b"path,label\na,b,c\n", "cannot be read"),
        ("t.csv", b"path,label\n\xff.png,cat\n", "byte 11 is no UTF-8; as Windows-1252 .*`iconv -f CP1252 -t UTF-8 "),
        ("t.jsonl", b"{\n", "cannot be read"),
        ("t.jsonl", b'{"path": "a.png", "label": ["cat", "dog"]}\n', "label holds .* must hold one value"),
        ("t.jsonl", b"3\n", "cannot be read"),
        ("t.parquet", b"PAR1", "cannot be read"),
        ("t.xlsx", b"", "must end in .csv, .jsonl or .parquet"),
        ("t.csv", b"path,label,split\na.png,cat,dev\n", "split is 'dev' and must be one of train, val, test"),
    ],
)
def test_table_that_cannot_be_used_is_an_error(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AssayError, match=said):
        open_table(tmp_path / name)


def test_absent_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssayError, match=f"table:{tmp_path}/t.csv: No such file"):
        open_table(tmp_path / "t.csv")


def test_paths_of_a_table_behind_a_url_are_relative_to_it() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/table-test/t.csv", b"path,label\nin/a.png,cat\n../b.png,dog\n")
    memory.pipe("/table-test/in/a.png", b"a")
    images = open_table("memory://table-test/t.csv")
    assert [(entry.path, entry.problem) for entry in images.entries] == [
        ("../b.png", "leaves the source"),
        ("in/a.png", ""),
    ]
    assert images.read(images.entries[1]) == b"a"


# Multi-label

SETS = {"a.png": "cat|dog", "b.png": "dog", "c.png": "", "d.png": None}


def found(images: Source) -> dict[str, str | None]:
    assert images.task == "multi_label"
    assert [entry.problem for entry in images.entries] == [""] * len(images.entries)
    return {entry.path: entry.label for entry in images.entries}


@pytest.mark.parametrize("save", [as_jsonl, as_parquet])
def test_labels_may_be_lists(tmp_path: Path, save: Callable[[Rows, Path], Path]) -> None:
    lists = [["dog", "cat", "dog"], ["dog"], [], None]
    file = save([{"path": path, "tags": tags} for path, tags in zip(SETS, lists, strict=True)], tmp_path / "t")
    assert found(open_table(file, labels="tags")) == SETS


@pytest.mark.parametrize("save", [as_csv, as_jsonl, as_parquet])
@pytest.mark.parametrize("separator", [";", ", ", "|", " "])
def test_labels_may_be_text_with_a_separator(
    tmp_path: Path, save: Callable[[Rows, Path], Path], separator: str
) -> None:
    texts = [f"dog{separator}cat{separator}", "dog", separator, ""]
    file = save([{"path": path, "tags": tags} for path, tags in zip(SETS, texts, strict=True)], tmp_path / "t")
    assert found(open_table(file, labels="tags", separator=separator)) == SETS


@pytest.mark.parametrize("save", [as_csv, as_jsonl, as_parquet])
@pytest.mark.parametrize(("no", "yes"), [(0, 1), (False, True), (0.0, 1.0), ("0", " 1"), ("FALSE", "true")])
def test_labels_may_be_columns_of_0_and_1(
    tmp_path: Path, save: Callable[[Rows, Path], Path], no: object, yes: object
) -> None:
    marks = [(yes, yes), (no, yes), (no, no), (None, None)]
    rows: Rows = [
        {"path": path, "cat": cat, "dog": dog, "age": 7} for path, (cat, dog) in zip(SETS, marks, strict=True)
    ]
    assert found(open_table(save(rows, tmp_path / "t"), label_columns="cat,dog")) == SETS


def test_name_of_a_label_column_may_hold_a_comma(tmp_path: Path) -> None:
    file = write(tmp_path, 'path,"cat, wild",dog\na.png,1,0\nb.png,0,1\n')
    images = open_table(file, label_columns='"cat, wild",dog')
    assert [entry.label for entry in images.entries] == ["cat, wild", "dog"]


def test_names_stay_as_they_are(tmp_path: Path) -> None:
    file = write(tmp_path, "path,tags\na.png,Cat; cat;cat ;;NA\n")
    assert open_table(file, labels="tags", separator=";").entries[0].label == " cat|Cat|NA|cat "


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"cat": "maybe", "dog": 0}, "cat is 'maybe', not 0 or 1"),
        ({"cat": 1, "dog": -1}, "dog is '-1', not 0 or 1"),
        ({"cat": 1, "dog": [0]}, r"dog is '\[0\]', not 0 or 1"),
        ({"cat": 1, "dog": None}, "dog is empty, not 0 or 1"),
    ],
)
def test_row_with_another_mark_cannot_be_read_and_says_which(tmp_path: Path, row: dict[str, object], said: str) -> None:
    rows: Rows = [{"path": "a.png", "cat": 1, "dog": 0}, {"path": "b.png", **row}]
    images = open_table(as_jsonl(rows, tmp_path / "t"), label_columns="cat,dog")
    assert [entry.label for entry in images.entries] == ["cat", None]
    with pytest.raises(OSError, match=said):
        images.read(images.entries[1])


@pytest.mark.parametrize("tags", [["cat", None], [["cat"]], [{}], [True], [float("nan")], ["\ud800"], {"cat": 1}])
def test_row_whose_labels_are_no_texts_cannot_be_read(tmp_path: Path, tags: object) -> None:
    rows: Rows = [{"path": "a.png", "tags": ["cat"]}, {"path": "b.png", "tags": tags}]
    images = open_table(as_jsonl(rows, tmp_path / "t"), labels="tags", separator=";")
    with pytest.raises(OSError, match=r"not a (text|list)"):
        images.read(images.entries[1])


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (
            "path,tags\na.png,cat;dog\n",
            {"labels": "tags"},
            r"row 1: tags holds 'cat;dog', which is no list; --separator",
        ),
        ("path,tags\na.png,cat\n", {"labels": "tag"}, r"no column 'tag'; .* did you mean 'tags'\?.*--label-columns"),
        ("path,cat\na.png,1\n", {"label_columns": "cat,dog"}, "no column 'dog'; it has 'path', 'cat'"),
        ("path,cat\na.png,1\n", {"label_columns": ""}, "no column ''"),
        ("path,cat,age\na.png,1,31\n", {"label_columns": "cat,age"}, "age holds '31' and must hold 0 or 1"),
        ("path,cat,dog\na.png,1,\n", {"label_columns": "cat,dog"}, "dog holds 'nothing' and must hold 0 or 1"),
        ("path,a|b\na.png,1\n", {"label_columns": "a|b"}, r"class 'a\|b' holds '\|'.*give the column another name"),
        ("path,tags\na.png,a|b;c\n", {"labels": "tags", "separator": ";"}, r"row 1: tags: class 'a\|b' holds"),
        ("path,tags\na.png,cat\n", {"labels": "tags", "separator": ""}, "--separator is empty"),
        ("path,tags\na.png,cat\n", {"label": "tags", "separator": ";"}, "--separator is for --labels COLUMN"),
        ("path,tags\na.png,1\n", {"label": "tags", "label_columns": "tags"}, "--label and --label-columns exclude"),
    ],
)
def test_options_that_do_not_fit_the_table_are_refused(
    tmp_path: Path, content: str, options: dict[str, str], said: str
) -> None:
    with pytest.raises(AssayError, match=said):
        open_table(write(tmp_path, content), **options)


def test_list_in_a_single_label_table_says_how_to_read_it(tmp_path: Path) -> None:
    with pytest.raises(AssayError, match=r"label holds .* must hold one value; --labels label reads several"):
        open_table(as_jsonl([{"path": "a.png", "label": ["cat", "dog"]}], tmp_path / "t"))


def test_image_that_no_row_lists_is_an_entry_that_cannot_be_read(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "in/b.JPG", "in/c.png", "notes.txt", ".hidden/d.png", "no suffix")
    images = open_table(write(tmp_path, "path,label\na.png,cat\n./in/c.png,dog\n"))
    assert [(entry.path, entry.label, entry.problem) for entry in images.entries] == [
        ("a.png", "cat", ""),
        ("in/b.JPG", None, "no row of the table lists it"),
        ("in/c.png", "dog", ""),
    ]
    with pytest.raises(OSError, match="no row of the table lists it"):
        images.read(images.entries[1])


def test_whole_numbers_stay_what_they_are_beside_an_absent_one(tmp_path: Path) -> None:
    """A float would make them 1.0, and another number from 2 ** 53 on."""
    group = 2**60 + 1
    rows = [{"path": "a.png", "label": 1, "group": group}, {"path": "b.png", "label": None, "group": None}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"path": "c.png"}]))
    assert [(e.label, e.group) for e in open_table(tmp_path / "t.jsonl").entries] == [
        ("1", str(group)),
        (None, None),
        (None, None),
    ]
    pd.DataFrame(rows)[["path", "label"]].to_parquet(tmp_path / "t.parquet")  # pandas makes floats of them
    assert [entry.label for entry in open_table(tmp_path / "t.parquet").entries] == ["1", None]
    for large in (2**53, group):
        pd.DataFrame(rows).assign(label="cat", group=[float(large), None]).to_parquet(tmp_path / "t.parquet")
        with pytest.raises(AssayError, match="which is exact below 9,007,199,254,740,992 only"):
            open_table(tmp_path / "t.parquet")


@pytest.mark.parametrize("number", ["0.30", "1.0", "1e3", "12345678901234567890"])
def test_numbers_of_json_are_spelt_as_they_are(tmp_path: Path, number: str) -> None:
    (tmp_path / "t.jsonl").write_text(f'{{"path": "a.png", "label": {number}}}\n')
    assert [entry.label for entry in open_table(tmp_path / "t.jsonl").entries] == [number]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separator_and_encoding_of_a_csv_are_seen(tmp_path: Path, separator: str, encoding: str) -> None:
    text = f"path{separator}label\nü.png{separator}cat, tame\n" if separator != "," else "path,label\nü.png,cat\n"
    (tmp_path / "t.csv").write_text(text, encoding=encoding)
    (entry,) = open_table(tmp_path / "t.csv").entries
    assert (entry.path, entry.label) == ("ü.png", "cat" if separator == "," else "cat, tame")


WRITTEN: dict[str, tuple[Callable[[str], str], str]] = {
    "windows": (lambda path: "C:\\data\\" + path.replace("/", "\\"), "`/` for `\\` and without 'C:/data' before them"),
    "case": (lambda path: path.replace(".png", ".PNG"), "the case of the files"),
    "bare": (lambda path: path.removesuffix(".png"), "the suffix of the files"),
    "decomposed": (lambda path: unicodedata.normalize("NFD", path), "accents written"),
    "absolute": (lambda path: f"/mnt/set/{path}", "without '/mnt/set' before them"),
    "without folder": (lambda path: path.removeprefix("bär/"), "with the folder that they lie in before them"),
}


@pytest.mark.parametrize("written", WRITTEN)
def test_paths_that_are_only_written_otherwise_are_one_line(tmp_path: Path, written: str) -> None:
    change, said = WRITTEN[written]
    files = [f"bär/{number}.png" for number in range(10)]
    fill(tmp_path, *files)
    rows = "".join(f"{change(path)},{'cat' if number % 2 else 'dog'}\n" for number, path in enumerate(files))
    with pytest.raises(AssayError, match=re.escape(f"10 of 10 rows name no file that is there, and would with {said}")):
        open_table(write(tmp_path, f"path,label\n{rows}"))


def test_files_that_are_gone_are_rows_and_no_spelling(tmp_path: Path) -> None:
    fill(tmp_path, "cat/1.png", "cat/2.png")
    images = open_table(write(tmp_path, "path,label\ncat/1.png,cat\ndog/7.png,dog\ndog/8.png,dog\n"))
    assert len(images.entries) == 4


def test_thumbnails_of_a_file_system_are_not_asked_to_be_listed(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "b.png", "@eaDir/a.png/SYNOPHOTO_THUMB_S.jpg", "__MACOSX/a.png")
    images = open_table(write(tmp_path, "path,label\na.png,cat\n"))
    assert [entry.path for entry in images.entries] == ["a.png", "b.png"]


@pytest.mark.parametrize("name", ["b.HEIC", "b.jxl", "b.dng", "b.nef", "b.cr2", "b.dcm"])
def test_pictures_that_are_not_read_are_named_where_no_row_lists_them(tmp_path: Path, name: str) -> None:
    fill(tmp_path, "a.png", name)
    images = open_table(write(tmp_path, "path,label\na.png,cat\n"))
    assert [(entry.path, entry.problem) for entry in images.entries] == [
        ("a.png", ""),
        (name, "no row of the table lists it"),
    ]
