"""Suites are read strictly, and what Great Expectations lets pass in silence fails."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from assay import labels
from assay.dataset import manifest
from assay.errors import AssayError
from assay.validation import data_tables, run, suites, wording
from assay.validation import rules as validation_rules

OUT = object()  # for a key that is not written


def rule(**changes: object) -> dict[str, object]:
    whole = {
        "rule": "size",
        "type": "expect_column_values_to_be_between",
        "column": "width_px",
        "min_value": 8,
        "severity": "info",
        "note": "why",
    }
    return {key: value for key, value in (whole | changes).items() if value is not OUT}


def write_suite(folder: Path, *rules: object, **top: object) -> Path:
    (folder / "images.yaml").write_text(yaml.safe_dump({"table": "images", "expectations": list(rules)} | top))
    return folder


def rows(*given: dict[str, object]) -> pd.DataFrame:
    """Return a manifest of sound images, each with the changes given."""
    whole = [
        {
            "path": f"{number}.png",
            "label": "cat",
            "split": "train",
            "sha256": f"{number}",
            "bytes": 100,
            "decodable": True,
            "reason": "",
            "named_format": "PNG",
            "format": "PNG",
            "width_px": 10,
            "height_px": 10,
            "mode": "L",
            "pixels": f"{number}",
            "batch": "0.tar",
            "offset": 0,
        }
        | changes
        for number, changes in enumerate(given)
    ]
    table = pd.DataFrame(whole, columns=manifest.SCHEMA.names)
    return table.astype({"width_px": "Int64", "height_px": "Int64", "decodable": bool})


def built(table: pd.DataFrame, **options: Any) -> dict[str, pd.DataFrame]:
    return data_tables.build(table, pd.DataFrame(columns=manifest.PAIRS.names), **options)


def failing(result: run.Result) -> list[tuple[str, str]]:
    return list(result.failing[["name", "value"]].itertuples(index=False, name=None))


def check(folder: Path, table: pd.DataFrame, *rules: object, **options: Any) -> list[run.Result]:
    found = suites.read(write_suite(folder, *rules))
    return run.check(found, built(table, classes=validation_rules.known_classes(found), **options))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rule": OUT}, "expectation 1: rule: 'missing', must be a text"),
        ({"severity": OUT}, "size: severity: 'missing', must be a text"),
        ({"note": ""}, "size: note: '', must be a text"),
        ({"severity": "critcal"}, "size: severity: unknown 'critcal'; did you mean 'critical'?"),
        ({"table": "image"}, "size: table: unknown 'image'; did you mean 'images'?"),
        ({"type": "expect_column_value_to_be_between"}, "did you mean 'expect_column_values_to_be_between'?"),
        ({"column": "width"}, "size: column: unknown 'width'; "),
        ({"column": "share"}, "size: column: unknown 'share'; "),
        ({"column": OUT}, "size: column: field required"),
        ({"min_valu": 8}, "size: key: unknown 'min_valu'; did you mean 'min_value'?"),
        ({"row_condition": "x"}, "size: key: unknown 'row_condition'; "),
        ({"min_value": None}, "size: min_value: empty, must hold a value"),
        ({"min_value": OUT}, "size: min_value and max_value cannot both be None"),
        ({"max_value": float("nan")}, "size: max_value: nan, must be a finite number"),
        ({"max_value": 7}, "size: min_value: 8 is above max_value: 7, so nothing could hold"),
        ({"min_value": 10**400}, "size: "),
        ({"table": ["images"]}, "size: table: unknown ['images']; did you mean 'images'?"),
        (
            {"type": "expect_column_values_to_be_in_set", "min_value": OUT, "value_set": 5},
            "size: value_set: 5, must be",
        ),
        ({"mostly": 0}, "size: mostly: 0, must be a number above 0 and at most 1"),
    ],
)
def test_wrong_rule_is_named_with_file_and_key(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    write_suite(tmp_path, rule(**changes))
    with pytest.raises(AssayError) as error:
        suites.read(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'images.yaml'}: ")
    assert said in str(error.value)
    assert error.value.exit_code == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("table: [", "not YAML"),
        ("", "holds no keys, must hold table and expectations"),
        ("tables: images", "key: unknown 'tables'; did you mean 'table'?"),
        ("table: pixels\nexpectations: []", "table: unknown 'pixels'; known: images, labels, classes, splits, pairs"),
        ("table: images", "expectations: none, must be a list of at least one"),
        ("table: images\nexpectations: []", "expectations: none, must be a list of at least one"),
        ("table: images\nexpectations: [size]", "expectation 1: 'size', must hold keys"),
    ],
)
def test_wrong_suite_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "images.yaml").write_text(text)
    with pytest.raises(AssayError) as error:
        suites.read(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'images.yaml'}: {said}")


@pytest.mark.parametrize("name", ["more.yml", "waivers.yml"])
def test_file_that_would_not_be_read_is_refused(tmp_path: Path, name: str) -> None:
    write_suite(tmp_path, rule())
    (tmp_path / name).touch()
    with pytest.raises(AssayError, match=rf"{name}: would not be read; rename it to {name[:-4]}\.yaml"):
        suites.read(tmp_path)


def test_rule_on_pairs_of_values_is_run_as_any_other(tmp_path: Path) -> None:
    pairs = {"column_A": "label", "column_B": "format", "value_pairs_set": [["cat", "PNG"]]}
    wanted = rule(type="expect_column_pair_values_to_be_in_set", column=OUT, min_value=OUT, **pairs)
    (result,) = check(tmp_path, rows({"label": "cat"}, {"label": "dog"}), wanted)
    assert len(failing(result)) == 1
    assert "label and format must be" in result.message


def test_suite_that_would_hide_the_verdict_in_the_metrics_is_refused(tmp_path: Path) -> None:
    (tmp_path / "passed.yaml").write_text("table: images")
    with pytest.raises(AssayError, match="a suite cannot be named 'passed'"):
        suites.read(tmp_path)


def test_folder_without_suites_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssayError, match="no suite in it"):
        suites.read(tmp_path)


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    write_suite(tmp_path, rule(), rule(column="height_px"))
    with pytest.raises(AssayError, match="size: rule: 2 of this name, must be one"):
        suites.read(tmp_path)


def test_unquoted_class_is_refused(tmp_path: Path) -> None:
    kind = "expect_column_values_to_be_in_set"
    write_suite(tmp_path, rule(type=kind, column="label", min_value=OUT, value_set=["0", 1]))
    with pytest.raises(AssayError, match="size: value_set: 1, must be a text: put it in quotes"):
        suites.read(tmp_path)


def test_rules_come_sorted_by_file_and_then_as_written(tmp_path: Path) -> None:
    for suite, names in {"b": ["z", "a"], "a": ["m"]}.items():
        content = {"table": "images", "expectations": [rule(rule=name) for name in names]}
        (tmp_path / f"{suite}.yaml").write_text(yaml.safe_dump(content))
    assert [(r.suite, r.rule) for r in suites.read(tmp_path)] == [("a", "m"), ("b", "z"), ("b", "a")]


def test_results_come_in_the_order_of_the_rules(tmp_path: Path) -> None:
    kinds = [f"expect_column_{measure}_to_be_between" for measure in ("max", "values", "min")]
    given = [
        rule(rule=f"{column} {kind}", type=kind, column=column) for kind in kinds for column in ("bytes", "width_px")
    ]
    assert [r.rule.rule for r in check(tmp_path, rows({}), *given)] == [each["rule"] for each in given]


def test_empty_table_fails_as_critical(tmp_path: Path) -> None:
    (result,) = check(tmp_path, rows(), rule())
    assert (result.success, result.severity, result.n_rows) == (False, "critical", 0)
    assert result.message == f"size: there are no images to check ({tmp_path / 'images.yaml'}: size)"


def test_missing_column_fails_as_critical(tmp_path: Path) -> None:
    (result,) = check(tmp_path, rows({}).drop(columns="width_px"), rule())
    assert (result.success, result.severity) == (False, "critical")
    assert result.message.startswith("size: could not be measured: ")
    assert "width_px" in result.message


def test_wrong_kind_of_value_fails_as_critical(tmp_path: Path) -> None:
    (result,) = check(tmp_path, rows({}), rule(column="label"))
    assert (result.success, result.severity) == (False, "critical")
    assert result.message.startswith("size: could not be measured: ")


def test_missing_value_fails(tmp_path: Path) -> None:
    (result,) = check(tmp_path, rows({}, {"width_px": pd.NA}), rule())
    assert not result.success
    assert failing(result) == [("1.png", "missing")]


def test_missing_value_fails_a_rule_on_the_whole_column(tmp_path: Path) -> None:
    (result,) = check(tmp_path, rows({}, {"width_px": pd.NA}), rule(type="expect_column_max_to_be_between"))
    assert not result.success
    assert failing(result) == [("1.png", "missing")]


def test_missing_value_satisfies_the_rule_that_wants_it(tmp_path: Path) -> None:
    kind = "expect_column_values_to_be_null"
    (result,) = check(tmp_path, rows({"batch": None}), rule(type=kind, column="batch", min_value=OUT))
    assert result.success


def test_missing_value_counts_against_mostly(tmp_path: Path) -> None:
    """Great Expectations leaves it out of the count: one of two would be all."""
    (result,) = check(tmp_path, rows({}, {"width_px": pd.NA}), rule(mostly=0.6))
    assert not result.success


def test_image_that_does_not_decode_counts_for_decodable_alone(tmp_path: Path) -> None:
    kind = "expect_column_values_to_be_in_set"
    decodable = rule(rule="decodable", type=kind, column="decodable", min_value=OUT, value_set=[True], mostly=0.5)
    broken = {"decodable": False, "reason": "truncated", "width_px": pd.NA, "split": None}
    size, decodes = check(tmp_path, rows({}, broken), rule(), decodable)
    assert (size.success, size.n_rows, failing(size)) == (True, 1, [])
    assert (decodes.success, decodes.n_rows, failing(decodes)) == (True, 2, [("1.png", "truncated")])


def test_copies_stand_together_among_the_failures_and_name_each_other(tmp_path: Path) -> None:
    table = rows({"pixels": "y"}, {"pixels": "x"}, {"pixels": "y"}, {"pixels": "x"}, {"pixels": "y"}, {})
    unique = rule(type="expect_column_values_to_be_unique", column="pixels", min_value=OUT)
    (result,) = check(tmp_path, table, unique)
    assert result.failing[["name", "partner"]].to_numpy().tolist() == [
        *(["1.png", "3.png"], ["3.png", "1.png"]),
        *(["0.png", "2.png"], ["2.png", "0.png"], ["4.png", "0.png"]),
    ]
    assert "size: 5 of 6 images: pixels must be unique: 1.png (like 3.png)," in result.message


def test_classes_count_images_with_a_split() -> None:
    table = rows({}, {}, {"split": "test"}, {"label": "dog", "split": "val"}, {"label": "dog", "split": None})
    classes = built(table, classes=["cat", "dog", "owl"])["classes"]
    assert classes.to_dict("list") == {
        "label": ["cat", "dog"],
        "n_images": [3, 1],
        "share": [0.75, 0.25],
        "imbalance": [1.0, 3.0],
        "train": [2, 0],
        "val": [0, 1],
        "test": [1, 0],
    }


def test_splits_hold_a_zero_for_a_known_class_without_images_and_nothing_for_an_unknown_one() -> None:
    splits = built(rows({}, {"label": "bat", "split": None}), classes=["cat", "owl"])["splits"]
    expected = [("train", "cat", 1), ("val", "cat", 0), ("test", "cat", 0)] + [(s, "owl", 0) for s in labels.SPLITS]
    assert list(splits.itertuples(index=False, name=None)) == expected


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        ({"min_value": 8, "max_value": 20000}, "at least 8 and at most 20,000"),
        (
            {"min_value": OUT, "max_value": 9, "strict_max": True, "mostly": 0.9},
            "less than 9 in at least 90% of the images",
        ),
        (
            {"type": "expect_column_values_to_match_regex", "column": "path", "min_value": OUT, "regex": "^a"},
            "match regex '^a'",
        ),
        ({"type": "expect_column_values_to_be_unique", "min_value": OUT}, "unique"),
        ({"type": "expect_column_values_to_not_be_null", "min_value": OUT}, "not null"),
        (
            {
                "type": "expect_column_values_to_not_be_in_set",
                "column": "mode",
                "min_value": OUT,
                "value_set": ["P"],
            },
            "not 'P'",
        ),
    ],
)
def test_limit_reads_well(tmp_path: Path, arguments: dict[str, object], limit: str) -> None:
    (found,) = suites.read(write_suite(tmp_path, rule(**arguments)))
    assert wording.limit(found) == limit


def test_passing_rule_says_nothing(tmp_path: Path) -> None:
    (result,) = check(tmp_path, rows({}, {"width_px": 30}), rule())
    assert (result.success, result.severity, result.observed) == (True, "info", "10 to 30")
    assert (failing(result), result.message) == ([], "")


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("contain_set", [("ape", "absent"), ("bat", "absent"), ("cow", "absent")]),
        ("be_in_set", [("elk", "unknown"), ("fox", "unknown"), ("gnu", "unknown")]),
        (
            "equal_set",
            [(each, "absent") for each in ("ape", "bat", "cow")]
            + [(each, "unknown") for each in ("elk", "fox", "gnu")],
        ),
    ],
)
def test_rule_on_a_set_names_what_is_absent_and_what_is_unknown(
    tmp_path: Path, kind: str, named: list[tuple[str, str]]
) -> None:
    distinct = f"expect_column_distinct_values_to_{kind}"
    wanted = rule(type=distinct, column="label", min_value=OUT, value_set=["dog", "cow", "bat", "ape"])
    (result,) = check(tmp_path, rows(*({"label": label} for label in ("gnu", "fox", "elk", "dog"))), wanted)
    assert not result.success
    assert failing(result) == named
    assert result.n_rows == 7  # names, those seen and those wanted: not the four images


def test_whole_table_rule_says_what_it_saw(tmp_path: Path) -> None:
    (result,) = check(tmp_path, rows({}), rule(type="expect_column_mean_to_be_between", min_value=11))
    assert not result.success
    assert result.message == f"size: mean of width_px: 10, must be at least 11 ({tmp_path / 'images.yaml'}: size)"
