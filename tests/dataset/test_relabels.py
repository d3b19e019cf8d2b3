from pathlib import Path

import pandas as pd
import pytest
from checkouts import run

from assay import params
from assay.dataset import manifest, relabels
from assay.errors import AssayError
from tasks import ingest

NONE = pd.DataFrame(columns=list(relabels.COLUMNS), dtype=str)


def images(**labels: str | None) -> pd.DataFrame:
    return pd.DataFrame([{"path": f"x/{key}.png", "sha256": key, "label": label} for key, label in labels.items()])


def listed(folder: Path, text: str) -> Path:
    (folder / "list.csv").write_text(text)
    return folder / "list.csv"


def test_correction_holds_for_a_content_wherever_it_lies() -> None:
    rows = pd.concat([images(a="cat", b="dog"), images(a="cat").assign(path="y/copy.png")], ignore_index=True)
    fixed = pd.DataFrame([("a", "cat", "dog", "x/a.png")], columns=list(relabels.COLUMNS))
    found = relabels.apply(rows, fixed)
    assert found.rows["label"].tolist() == ["dog", "dog", "dog"]
    assert (found.n_corrected, found.n_overtaken) == (2, 0)
    assert rows["label"].tolist() == ["cat", "dog", "cat"]


def test_source_that_was_mended_since_has_the_last_word() -> None:
    fixed = pd.DataFrame([("a", "cat", "dog", "x/a.png")], columns=list(relabels.COLUMNS))
    owl = relabels.apply(images(a="owl"), fixed)
    assert (owl.rows["label"].tolist(), owl.n_corrected, owl.n_overtaken) == (["owl"], 0, 1)
    dog = relabels.apply(images(a="dog"), fixed)
    assert (dog.n_corrected, dog.n_overtaken) == (0, 0)
    unread = relabels.apply(images(a=None).assign(sha256=None), fixed)
    assert unread.n_corrected == 0


def test_queue_that_was_looked_through_is_taken_where_it_is_filled_in(tmp_path: Path) -> None:
    file = listed(tmp_path, "rank,path,sha256,label,corrected\n1,x/a.png,a,cat,dog\n2,x/b.png,b,dog,\n")
    made = relabels.reviewed(file, images(a="cat", b="dog"), NONE, "single_label")
    assert made.to_dict("records") == [{"sha256": "a", "was": "cat", "label": "dog", "path": "x/a.png"}]


def test_correction_of_a_correction_keeps_what_the_source_says_and_can_take_it_back(tmp_path: Path) -> None:
    known = pd.DataFrame([("a", "cat", "dog", "x/a.png")], columns=list(relabels.COLUMNS))
    now = images(a="dog", b="cat", c="owl")  # with the correction
    made = relabels.reviewed(listed(tmp_path, "path,label\nx/a.png,owl\n"), now, known, "single_label")
    assert made.to_dict("records") == [{"sha256": "a", "was": "cat", "label": "owl", "path": "x/a.png"}]
    assert relabels.reviewed(listed(tmp_path, "path,label\nx/a.png,cat\n"), now, known, "single_label").empty


def test_several_classes_are_sorted_and_none_is_a_label(tmp_path: Path) -> None:
    now = images(a="cat|dog", b="cat")
    file = listed(tmp_path, "sha256,label\na,\nb,dog|cat\n")
    made = relabels.reviewed(file, now, NONE, "multi_label").set_index("sha256")
    assert made["label"].to_dict() == {"a": "", "b": "cat|dog"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\nx/a.png,dgo\n", r"line 2: unknown 'dgo'; did you mean 'dog'\?"),
        ("path,label\nx/aa.png,dog\n", r"line 2: unknown 'x/aa.png'; did you mean 'x/a.png'\?"),
        ("sha256,label\nz,dog\n", "line 2: no image has the SHA-256 z"),
        ("sha256,label\na,dog\n,dog\n", "line 3: names no image: sha256 empty; fill it in, or delete the line"),
        ("sha256,path,label\n,,dog\n", "line 2: names no image: path and sha256 empty"),
        ("path,label,sha256\n,dog\n", "line 2: names no image: path and sha256 empty"),
        ("path,label\nx/a.png,dog\nx/a.png,cat\n", "line 3: x/a.png is 'dog' above, here 'cat'"),
        ("name,label\nx,dog\n", "has name, label; wanted are path or sha256, and corrected or label"),
        ("", "not a CSV table"),
    ],
)
def test_mistake_in_the_list_is_named_by_its_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(AssayError, match=said):
        relabels.reviewed(listed(tmp_path, text), images(a="cat", b="dog"), NONE, "single_label")


def test_unknown_path_is_told_with_a_few_of_the_known_ones(tmp_path: Path) -> None:
    many = images(**{f"{number:04d}": "cat" for number in range(1797)})
    with pytest.raises(AssayError, match=r"line 2: unknown '3'; known: .* and 1,792 more$") as error:
        relabels.reviewed(listed(tmp_path, "path,label\n3,cat\n"), many, NONE, "single_label")
    assert len(str(error.value)) < 250


def test_overlay_is_read_as_it_was_written_and_a_torn_one_is_said(tmp_path: Path) -> None:
    fixed = pd.DataFrame([("b", "", "dog", "b.png"), ("a", "cat", "", "a.png")], columns=list(relabels.COLUMNS))
    relabels.write(tmp_path / "r.csv", fixed)
    assert relabels.read(tmp_path / "r.csv")["sha256"].tolist() == ["a", "b"]
    assert relabels.read(tmp_path / "none.csv").empty
    (tmp_path / "r.csv").write_text("sha256,was,label,path\na,x,y,p\na,x,z,p\n")
    with pytest.raises(AssayError, match="a stands there twice"):
        relabels.read(tmp_path / "r.csv")
    (tmp_path / "r.csv").write_text("<<<<<<< HEAD\n")
    with pytest.raises(AssayError, match="columns are <<<<<<< HEAD, must be sha256"):
        relabels.read(tmp_path / "r.csv")


def test_next_run_uses_the_corrected_label_and_the_source_is_untouched(
    checkout: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)
    p = params.load()
    assert p.paths.relabels.read_text() == ",".join(relabels.COLUMNS) + "\n"
    ingest.main(p)
    before = manifest.read(p.paths.manifest).set_index("path")
    assert before.at["ape/003.png", "label"] == "ape"
    listing = sorted(file.stat().st_mtime_ns for file in images.rglob("*.png"))
    (checkout / "fixed.csv").write_text("path,label\nape/003.png,bee\n")
    assert "1 corrected labels, 1 of them new" in run(checkout, "assay", "relabel", "fixed.csv")
    ingest.main(p)
    after = manifest.read(p.paths.manifest).set_index("path")
    assert after.at["ape/003.png", "label"] == "bee"
    same = after.drop(index="ape/003.png")
    pd.testing.assert_frame_equal(same, before.loc[same.index])
    assert after.at["ape/003.png", "split"] == before.at["ape/003.png", "split"]
    assert sorted(file.stat().st_mtime_ns for file in images.rglob("*.png")) == listing
