"""A rule that asks for less than the shipped one is named, however it was made so."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from assay import params
from assay.validation import gate, weaker

ROOT = Path(__file__).parents[2]


def changed(folder: Path, suite: str, name: str, change: Callable[[dict[str, Any]], object]) -> list[weaker.Weaker]:
    """Return what is weaker after a change to one rule of the shipped suites."""
    shutil.copytree(weaker.SHIPPED, folder, dirs_exist_ok=True)
    file = folder / f"{suite}.yaml"
    content = yaml.safe_load(file.read_text())
    (entry,) = [each for each in content["expectations"] if each["rule"] == name]
    change(entry)
    content["expectations"] = [each for each in content["expectations"] if each.get("rule")]
    file.write_text(yaml.safe_dump(content))
    return weaker.found(folder, weaker.SHARE)


def test_own_suites_and_share_are_not_weaker_than_what_is_shipped() -> None:
    p = params.load(ROOT / "params.yaml")
    assert p.gate.max_quarantined_share == weaker.SHARE
    assert weaker.found(ROOT / "expectations", p.gate.max_quarantined_share) == []


@pytest.mark.parametrize(
    ("suite", "name", "change", "why", "disarms"),
    [
        ("images", "decodable", {"severity": "warning"}, "warning, shipped as critical", True),
        ("images", "decodable", {"rule": ""}, "critical, and not there", True),
        ("images", "decodable", {"value_set": [True, False]}, "also lets False pass", True),
        ("images", "decodable", {"allowed": 59}, "59 rows may break it", False),
        (
            "images",
            "one label per picture",
            {"quarantine": True},
            "sets images aside, shipped it closes the gate",
            True,
        ),
        ("images", "not dark", {"mostly": 0.5}, "of 50%, shipped of 99.5%", True),
        ("images", "named as what it is", {"column_A": "format"}, "column_A is 'format', shipped as 'named_fo", True),
        ("labels", "class balance", {"max_value": 0.9}, "max_value 0.9, shipped 0.6", False),
        ("labels", "training images per class", {"min_value": 5}, "min_value 5, shipped 20", False),
        ("splits", "test images enough", {"max_margin": 0.3}, "max_margin 0.3, shipped 0.12", False),
    ],
)
def test_weaker_rule_is_named_with_what_makes_it_so(
    tmp_path: Path, suite: str, name: str, change: dict[str, Any], why: str, disarms: bool
) -> None:
    (found,) = changed(tmp_path, suite, name, lambda entry: entry.update(change))
    assert (found.suite, found.expectation, found.disarms) == (suite, name, disarms)
    assert found.why.startswith(why)
    (line,) = gate.weaker_lines([vars(found)])
    assert line.startswith(f"{'disarmed' if disarms else 'weaker than shipped'}: {name} (")


@pytest.mark.parametrize(
    ("suite", "name", "change"),
    [
        ("images", "image width", {"min_value": 32}),
        ("images", "not blurred", {"severity": "critical"}),
        ("labels", "known class", {"value_set": ["cat", "dog"]}),
        ("labels", "class balance", {"max_value": 0.5}),
        ("images", "not dark", {"mostly": 0.999}),
        ("images", "decodable", {"note": "another word"}),
    ],
)
def test_what_asks_for_as_much_or_more_is_not(tmp_path: Path, suite: str, name: str, change: dict[str, Any]) -> None:
    assert changed(tmp_path, suite, name, lambda entry: entry.update(change)) == []


def test_larger_share_and_a_suite_that_is_gone_are_named(tmp_path: Path) -> None:
    shutil.copytree(weaker.SHIPPED, tmp_path, dirs_exist_ok=True)
    (tmp_path / "splits.yaml").unlink()
    found = weaker.found(tmp_path, 0.5)
    assert [(each.suite, each.expectation) for each in found] == [
        ("splits", "every class in every split"),
        ("splits", "test images per class"),
        ("splits", "test images enough"),
        ("params.yaml", "gate.max_quarantined_share"),
    ]
    assert found[-1].why == "50% of the images may be set aside, shipped is 1%"
