"""The order in which causes are told."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from assay.evaluation.diagnosis import finding
from assay.evaluation.diagnosis.finding import Finding

CERTAINTIES = st.sampled_from(["certain", "likely", "possible"])
KINDS = st.sampled_from(["contract", "symptom", "limit"])


@given(st.lists(st.tuples(CERTAINTIES, KINDS), max_size=12))
def test_the_surest_cause_is_first_then_limits_and_none_is_lost(
    given_: list[tuple[finding.Certainty, finding.Kind]],
) -> None:
    all_of = [Finding(cause="gate", kind=kind, certainty=sure, seen=str(n)) for n, (sure, kind) in enumerate(given_)]
    ranked = finding.rank(all_of)
    assert sorted(each.seen for each in ranked) == sorted(each.seen for each in all_of)
    for one, next_ in itertools.pairwise(ranked):
        assert one.is_confident or not next_.is_confident
        if one.is_confident == next_.is_confident:
            assert one.kind != "limit" or next_.kind == "limit"
            if (one.kind == "limit") == (next_.kind == "limit"):
                assert finding.ORDER[one.certainty] <= finding.ORDER[next_.certainty]
