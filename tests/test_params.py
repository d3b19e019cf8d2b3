from pathlib import Path

import pytest
import yaml
from checkouts import ROOT

from assay import params
from assay.errors import AssayError


def load_with(tmp_path: Path, old: str, new: str) -> params.Params:
    text = (ROOT / "params.yaml").read_text()
    assert old in text
    (tmp_path / "params.yaml").write_text(text.replace(old, new, 1))
    return params.load(tmp_path / "params.yaml")


def test_parameters_of_this_project_are_valid() -> None:
    assert params.load(ROOT / "params.yaml").preprocess.colour == "grey"


def test_keys_stand_in_the_same_order_as_in_the_file() -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert list(content) == list(params.Params.__dataclass_fields__)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  epochs:", "  epochz:", "train.epochz: unknown key; did you mean 'epochs'?"),
        ("  epochs:", "  epochz:", "train.epochs: missing"),
        ("seed: 7", "seed: 7\nxyz: 1", "xyz: unknown key; known here: seed, threads, paths"),
        ("test_share: 0.2", "test_share: 1.2", "ingest.test_share: input should be less than or equal to 1, not 1.2"),
        ("test_share: 0.2", "test_share: 0.9", "ingest: val_share 0.1 + test_share 0.9 leave nothing to train on"),
        ("seed: 7", "seed: seven", "seed: input should be a valid integer, not 'seven'"),
        ("colour: grey", "colour: green", "preprocess.colour: input should be 'grey' or 'rgb', not 'green'"),
        ("seed: 7", "seed: [7", "not YAML"),
        ("seed: 7", "seed: 7\nseed: 8", "'seed' stands here twice"),
        ("share: 0.01 ", "share: true ", "gate.max_quarantined_share: input should be a valid number, not True"),
        (
            "learning_rate: 0.002",
            "learning_rate: .inf",
            "train.learning_rate: input should be a finite number, not inf",
        ),
        ("flip: none", "flip: none\n    spin: 3", "train.augment.spin: unknown key"),
    ],
)
def test_wrong_key_or_value_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(AssayError) as raised:
        load_with(tmp_path, old, new)
    assert said in str(raised.value)


@pytest.mark.parametrize("content", ["", "[]", "3"])
def test_file_that_holds_no_parameters_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(AssayError, match=r"params\.yaml"):
        params.load(tmp_path / "params.yaml")


def test_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(AssayError, match="not found; run this in the folder that holds it"):
        params.load(tmp_path / "params.yaml")
