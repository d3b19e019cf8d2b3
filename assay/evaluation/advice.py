"""What a person may make of a class's numbers, and what to try: one or two sentences, no more than the numbers say."""

from dataclasses import dataclass

from assay.evaluation.metrics import ClassScore
from assay.words import counted

LOW = 0.9  # recall or precision below it is called low
WIDE = 0.3  # an interval as wide says little
RARE = 0.25  # of the images that the commonest class has to train on


@dataclass(frozen=True, kw_only=True)
class Confused:
    """With which class one is confused most, and how often."""

    name: str
    n: int


def of_class(score: ClassScore, taken_for: Confused | None, given_to: Confused | None, share_of_most: float) -> str:
    """Return what the class's numbers mean.

    `taken_for`: what its images are called most often instead; `given_to`: whose images are most often called it;
    `share_of_most`: its train images over those of the commonest class.
    """
    if not score.n:
        return "No test image, so nothing is known of it: add some."
    is_missed, is_overused = score.recall.value < LOW, score.n_named > 0 and score.precision.value < LOW
    said = [_meaning(score, taken_for, given_to, is_missed=is_missed, is_overused=is_overused)]
    if is_missed and share_of_most < RARE:
        said.append(f"It has {100 * share_of_most:.0f} % as many train images as the commonest class: add some first.")
    if score.recall.high - score.recall.low > WIDE:
        said.append(f"With {counted(score.n, 'test image')} its recall is hardly known: add test images.")
    return " ".join(said)


def _meaning(
    score: ClassScore, taken_for: Confused | None, given_to: Confused | None, *, is_missed: bool, is_overused: bool
) -> str:
    n_missed, n_wrong = score.n - score.n_found, score.n_named - score.n_found
    missed = f"{n_missed:,} of {counted(score.n, 'image')} missed{_most('taken for', taken_for)}"
    wrongly = f"{n_wrong:,} of {counted(score.n_named, 'answer')} with it wrong{_most('on images of', given_to)}"
    if not score.n_named:
        return f"Never named{_most('taken for', taken_for)}: look at its labels, and at how many train images it has."
    if is_missed and is_overused:
        return f"{missed}; {wrongly}: ask people whether they can tell it."
    if is_missed:
        return f"{missed}: add train images like these."
    if is_overused:
        return f"{wrongly}: add train images of what it is named on, and look at their labels."
    return "Nothing stands out." if n_missed or n_wrong else "No error."


def _most(verb: str, of: Confused | None) -> str:
    return f" (most {verb} {of.name}: {of.n:,})" if of else ""
