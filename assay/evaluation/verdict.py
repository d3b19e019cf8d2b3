"""May this model replace the champion? What the registry is told, with the reasons.

It must be good enough by itself, in all and in each class. Beside the champion it must surely be no more than a margin
worse, in all and in each class, with few images wrong that were right before. Half of the retrainings that differ by
luck alone score more points than the champion: points promote nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay import params
from assay.evaluation import comparison
from assay.evaluation.against import Against, Sides
from assay.evaluation.comparison import Paired
from assay.evaluation.intervals import Share
from assay.labels import ACCURACY, Task

WORDS = {"f1_macro": "macro F1", "recall_macro": "mean recall of the classes"}
SHOWN = 5  # classes in a sentence


@dataclass(frozen=True, kw_only=True)
class Check:
    """One reason for or against the model."""

    name: str
    passed: bool
    text: str


def floors(accuracy: Share, recalls: Mapping[str, Share], task: Task, p: params.Register) -> list[Check]:
    """Return whether the model is good enough by itself: in all, and in each class as far as its images can tell.

    `accuracy`: of a multi-label set the exact match; `recalls`: of each class.
    """
    guess = f"; {accuracy.n_groups} groups are few, so the interval is a guess" if accuracy.is_guess else ""
    return [
        Check(
            name="accuracy",
            passed=accuracy.low >= p.min_accuracy,
            text=f"{ACCURACY[task]} {accuracy.value:.4f}: it is surely {accuracy.low:.4f} or more, and must surely be "
            f"{p.min_accuracy} or more (params.yaml: register.min_accuracy){guess}",
        ),
        _class_floors(recalls, p),
    ]


def _class_floors(recalls: Mapping[str, Share], p: params.Register) -> Check:
    """Return whether no class is surely found too rarely; one that looks so on too few images is said."""
    known = {name: recall for name, recall in recalls.items() if recall.n}
    surely = {name: recall for name, recall in known.items() if recall.high < p.min_class_recall}
    perhaps = {name: recall for name, recall in known.items() if recall.value < p.min_class_recall <= recall.high}
    limit = f"the limit is {p.min_class_recall} (params.yaml: register.min_class_recall)"
    worst = min(known, key=lambda name: known[name].value)
    if surely:
        text = f"recall is surely too low of {_each(surely)}; {limit}"
    else:
        text = f"no class is surely found too rarely; lowest is {worst}, {known[worst].value:.4f}; {limit}"
    text += f"; too few images to tell of {_each(perhaps)}" if perhaps else ""
    absent = [name for name, recall in recalls.items() if not recall.n]
    text += f"; no test image of {shortened(absent)}" if absent else ""
    return Check(name="class recall", passed=not surely, text=text)


def _each(shares: Mapping[str, Share]) -> str:
    ranked = sorted(shares.items(), key=lambda each: (each[1].value, each[0]))
    return shortened(
        [f"{name}: {of.value:.4f}, between {of.low:.4f} and {of.high:.4f} ({of.n:,})" for name, of in ranked]
    )


def shortened(texts: Sequence[str]) -> str:
    """Return the first of the texts, and how many more there are."""
    more = len(texts) - SHOWN
    return ", ".join(texts[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def same_labels(now: Sequence[str], before: Sequence[str], champion: str, p: params.Register) -> list[Check]:
    """Return whether the classes may be other ones than the champion's; nothing where they are the same."""
    new, gone = ([name for name in one if name not in other] for one, other in ((now, before), (before, now)))
    if not new and not gone:
        return []
    words = {"new": new, "gone": gone}
    changes = "; ".join(f"{word}: {', '.join(names)}" for word, names in words.items() if names)
    allowed = str(p.allow_label_change).lower()
    text = f"other classes than champion {champion}, {changes} (params.yaml: register.allow_label_change is {allowed})"
    return [Check(name="labels", passed=p.allow_label_change, text=text)]


def relative(found: Against, sides: Sides, champion: str, p: params.Register) -> list[Check]:
    """Return whether the model is good enough beside the champion."""
    return [
        _no_worse(found, sides.task, champion, p),
        _no_worse_class(sides, champion, p),
        _few_flips(found.paired, champion, p),
    ]


def _no_worse(found: Against, task: Task, champion: str, p: params.Register) -> Check:
    """Return whether the metric is surely no more than the margin below the champion's."""
    passed = found.surely_above >= -p.margin
    word = ACCURACY[task] if found.metric == "accuracy" else WORDS[found.metric]
    text = (
        f"{word} {found.new:.4f} against {found.old:.4f} of champion {champion} on the {found.paired.n:,} test images "
        f"that both have seen: with {100 * p.confidence:g} % confidence it falls by no more than "
        f"{max(0, -found.surely_above):.4f}, the limit is {p.margin} (params.yaml: register.margin); "
        f"{found.model_verdict}"
    )
    if not passed and found.difference.value >= -p.margin:
        text += f"; {_too_few(found, p)}"
    if found.n_looks > 1:
        text += f"; look {found.n_looks:,} at these images, and with each the best of them owes more to luck"
    if found.metric != p.metric:
        text += f"; {p.metric} cannot be compared: of champion {champion} it is only known which images were wrong"
    return Check(name="champion", passed=passed, text=text)


def _too_few(found: Against, p: params.Register) -> str:
    """Return what to do where the images cannot tell whether the model is worse."""
    deviation = comparison.deviation(2 * (found.difference.value - found.surely_above), 2 * p.confidence - 1)
    shows = f"this test set cannot show less than {100 * found.detectable:.1f} points"
    by_hand = "to promote, say so by hand (`assay promote`)"
    n_more = comparison.more(deviation, p.margin, found.paired.n, p.confidence) if p.margin else 0
    return f"{shows}: {by_hand}" + (f" or add about {n_more:,} test images" if n_more else "")


def _no_worse_class(sides: Sides, champion: str, p: params.Register) -> Check:
    """Return whether no class is surely found more rarely by more than the margin, all classes counted in."""
    confidence = 1 - 2 * (1 - p.confidence) / len(sides.classes)
    fallen = {}
    for number, name in enumerate(sides.classes):
        of = sides.actual[:, number]
        if of.any():
            old = sides.old_right[of] if sides.old is None else sides.old[of, number]
            found = comparison.paired(old, sides.new[of, number], sides.groups[of], confidence)
            if found.high < -p.margin:
                fallen[name] = found
    told = [f"{name}: {of.difference:+.4f}, at best {of.high:+.4f} ({of.n:,})" for name, of in sorted(fallen.items())]
    text = f"recall is surely lower than champion {champion}'s by more than {p.margin} of {shortened(told)}"
    none = f"no class is surely found more rarely than by champion {champion} by more than {p.margin}"
    knob = "(params.yaml: register.margin)"
    return Check(name="classes", passed=not fallen, text=f"{text if fallen else none} {knob}")


def _few_flips(found: Paired, champion: str, p: params.Register) -> Check:
    share = found.n_new_errors / found.n
    return Check(
        name="new errors",
        passed=share <= p.max_new_error_share,
        text=f"{found.n_new_errors:,} of {found.n:,} images are wrong that champion {champion} had right, a share of "
        f"{share:.4f}; the limit is {p.max_new_error_share} (params.yaml: register.max_new_error_share)",
    )


def decide(checks: Sequence[Check]) -> str:
    return "promote" if all(check.passed for check in checks) else "hold"
