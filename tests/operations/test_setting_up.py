"""`assay init`: from a clone to one's own images, and nobody's work is lost."""

import json
from pathlib import Path

import pytest
import yaml
from checkouts import draw, make_checkout, run


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout of other images, with what runs and people leave of them."""
    (tmp_path / "clone/.dvc").mkdir(parents=True)
    made = make_checkout(tmp_path / "clone", "sklearn:digits", classes=[str(n) for n in range(10)])
    for name in ("plots/history.csv", "MODEL_CARD.md", "registry/candidate.json", "metrics/eval.json"):
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_text("{}")
    (made / "data/ledger.csv").write_text("sha256,group,split,batch\nabc,a,train,1\n")
    (made / "data/approved.json").write_text('{"n_images": 1797}')
    (made / "data/relabels.csv").write_text("sha256,was,label,path\nabc,1,7,1/0001.png\n")
    (made / "registry/champions.json").write_text('[{"version": "v0.0.1"}]')
    (made / "params.yaml").write_text(Path(__file__).parents[2].joinpath("params.yaml").read_text())
    run(made, "git", "add", "-A")
    run(made, "git", "commit", "-qm", "of other images")
    return made


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    draw(tmp_path / "photos", 40)
    for empty in range(6):
        (tmp_path / f"photos/ape/empty{empty}.png").touch()
    (tmp_path / "photos/README.md").write_text("of the photos")
    return tmp_path / "photos"


def contents(checkout: Path) -> dict[str, bytes]:
    names = run(checkout, "git", "ls-files", "--cached", "--others", "--exclude-standard").split()
    return {name: (checkout / name).read_bytes() for name in names if (checkout / name).exists()}


@pytest.mark.slow
def test_clone_becomes_the_project_of_the_images_and_stays_so(clone: Path, photos: Path) -> None:
    before = contents(clone)
    dry = run(clone, "assay", "init", str(photos), "--dry")
    assert "would put away" in dry
    assert contents(clone) == before

    said = run(clone, "assay", "init", str(photos))
    assert "1 file left out, no image by name: README.md" in said
    assert "allowed, as many as now and no more: decodable: 6 of 126 images" in said
    assert [line.split()[:2] for line in said.splitlines()[-3:]] == [
        ["make", "repro"],
        ["assay", "approve"],
        ["assay", "release"],
    ]
    after = contents(clone)
    assert run(clone, "git", "status", "--porcelain") == ""
    for name in ("plots/history.csv", "MODEL_CARD.md", "registry/candidate.json", "metrics/eval.json"):
        assert name not in after
    assert json.loads(after["registry/champions.json"]) == []
    assert json.loads(after["data/approved.json"]) == {}
    assert after["data/relabels.csv"] == b"sha256,was,label,path\n"
    assert b"abc,a,train,1" not in after["data/ledger.csv"]
    assert len(after["data/ledger.csv"].splitlines()) == 1 + 3 * 40 + 1  # the empty files have one content
    chosen = yaml.safe_load(after["params.yaml"])["preprocess"]
    assert (chosen["height_px"], chosen["width_px"], chosen["colour"]) == (12, 12, "grey")
    assert b"# grey or rgb" in after["params.yaml"]
    assert "'ape', 'bee', 'cow'" in said

    again = run(clone, "assay", "init", str(photos))
    assert "nothing was changed" in again
    assert contents(clone) == after

    run(clone, "dvc", "repro", "-q", "gate")
    assert (clone / "data/passed.json").exists()


def test_work_that_is_not_committed_and_releases_are_not_put_away(clone: Path, photos: Path) -> None:
    (clone / "expectations/labels.yaml").open("a").write("# by hand\n")
    refused = run(clone, "assay", "init", str(photos), code=1)
    assert "init: uncommitted work: expectations/labels.yaml; commit or stash it first" in refused
    run(clone, "git", "commit", "-qam", "by hand")
    run(clone, "git", "tag", "-am", "released", "classifier@v0.0.3")
    refused = run(clone, "assay", "init", str(photos), code=1)
    assert "init: classifier v0.0.3 was released here" in refused
    assert (clone / "data/ledger.csv").read_text().endswith("abc,a,train,1\n")


def test_snapshot_of_other_classes_names_init_and_one_of_the_same_does_not(clone: Path, photos: Path) -> None:
    said = run(clone, "assay", "snapshot", str(photos))
    assert f"next: `assay init {photos}` makes this project that of these images" in said
    assert "next: `dvc repro`" in run(clone, "assay", "snapshot", "sklearn:digits")
    run(clone, "assay", "snapshot", str(photos))
    assert "next, one after the other:" in run(clone, "assay", "init", str(photos))  # its own file may be changed
