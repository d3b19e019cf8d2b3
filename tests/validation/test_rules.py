"""Every rule of expectations/ is broken by the smallest data that break it, says so, and without it they pass.

They are asked in this process, about the tables that `validate` would build; tests/tasks runs the stage.
"""

from pathlib import Path

import pytest
from cases import Case, sound
from rule_cases import CASES
from rules_made import RULES, Build, broken, build, built, for_classes, names

from assay.validation import rules as validation_rules

__all__ = ["built"]  # fixtures
WARNINGS = {rule.rule for rule in RULES if rule.severity != "critical"}

SOUND = Case(table=sound(), broken={}, said="")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_broken_rule_names_its_rows_and_its_limit(built: Build, case: str) -> None:
    results = broken(for_classes(CASES[case].classes), built(case))
    assert names(results) == CASES[case].broken
    assert results[next(iter(CASES[case].broken))].message.startswith(CASES[case].said)
    assert {rule for rule, result in results.items() if result.severity != "critical"} == set(results) & WARNINGS


@pytest.mark.parametrize("rule", [rule.rule for rule in RULES if rule.rule != "images at all"])
def test_without_a_rule_what_breaks_it_passes(built: Build, rule: str) -> None:
    """The mutation test of the suites: the case that breaks the fewest other rules is caught by this one."""
    cases = [name for name, case in CASES.items() if rule in case.broken]
    assert cases, f"{rule}: no case of CASES breaks it"
    fewest = min(cases, key=lambda name: len(CASES[name].broken))
    others = {name: rows for name, rows in CASES[fewest].broken.items() if name != rule}
    without = validation_rules.related([each for each in for_classes(CASES[fewest].classes) if each.rule != rule])
    left = names(broken(without, built(fewest)))
    if rule == "label present":  # then missing labels break every other rule on labels
        assert set(left) == {"known class", "one spelling"}
        return
    assert left == others
    # Without its images a class is absent in every split too.
    assert set(others) <= WARNINGS or rule == "every known class"


def test_sound_images_break_no_rule(tmp_path: Path) -> None:
    assert broken(for_classes(SOUND.classes), build(tmp_path, SOUND)) == {}
