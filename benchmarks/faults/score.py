"""What counts as found: a critical rule or a warning names the file, the class or the batch, and did not before."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.faults import faults
from benchmarks.faults.inject import Item, Truth, Variant

NEAR, FAR = ("q60", "scale", "bright", "blur", "noise"), ("crop3", "crop10", "shift")
TURNED = ("flip", "rot90")  # of two labels no pair: an arrow to the left is one to the right
# The share of the images of a fault that must be named: all, but for these; None: measured, no more.
BAR: dict[str, float | None] = {
    **dict.fromkeys(["dark", "bright", "washed", "half_grey", "blur_strong", "noise", "ood_text", "ood_noise"], 0.9),
    **{f"{kind} {way}": 0.9 for kind in faults.RELATIONS for way in NEAR},
    **{f"batch_{name}": 0.9 for name in faults.DRIFTS},
    **dict.fromkeys(["shortcut_size", "shortcut_stamp"], 0.9),
    **{f"{kind} {way}": None for kind in faults.RELATIONS for way in FAR},
    **{f"{kind} {way}": None if kind == "conflict" else 0.9 for kind in faults.RELATIONS for way in TURNED},
    **dict.fromkeys(["dark_mild", "blur_mild", "inverted", "occluded", "rot90", "jpeg_q5"]),
    **dict.fromkeys(["bgr", "grey_in_rgb", "partial_eoi"]),
    **dict.fromkeys(["label_flip_5", "label_flip_10", "label_flip_20", "class_rare", "batch_prior"]),
    **dict.fromkeys(["shortcut_gain", "shortcut_jpeg_q50"]),
}


@dataclass(frozen=True)
class Hit:
    """That a rule names something (an image, a class, a suite that fails), and what it mentions beside."""

    rule: str
    name: str
    mentions: str = ""
    is_critical: bool = False

    def tells_of(self, path: str) -> bool:
        return path == self.name or path in self.name.split("/") or path in self.mentions

    def finds(self, truth: Truth) -> bool:
        """Say whether this is what was put in: of a copy it names the original too, or lets the copy go no further."""
        is_copy_told = not truth.partner or self.tells_of(truth.partner)
        return self.tells_of(truth.path) and (is_copy_told or (self.is_critical and self.name == truth.path))


@dataclass
class Score:
    fault: str
    n: int = 0
    caught: int = 0
    by: Counter[str] = field(default_factory=Counter)

    @property
    def bar(self) -> float | None:
        return BAR.get(self.fault, 1.0)

    @property
    def is_met(self) -> bool:
        return self.bar is None or self.caught >= self.bar * self.n


def scores(truth: Iterable[Truth], hits: Iterable[Hit]) -> list[Score]:
    """Return the score of each fault, a kind of copy being one."""
    found: dict[str, Score] = {}
    hits = list(hits)
    for each in truth:
        is_copy = each.fault in faults.RELATIONS
        score = found.setdefault(name := f"{each.fault} {each.param}" if is_copy else each.fault, Score(name))
        rules = {hit.rule for hit in hits if hit.finds(each)}
        score.n += 1
        score.caught += bool(rules)
        score.by.update(rules)
    return list(found.values())


def false_alarms(variant: Variant, clean: Variant, hits: Iterable[Hit]) -> Counter[str]:
    """Return how many images that are as they were each rule names, where it does not mention one that is not."""
    before: dict[str, Item] = {item.path: item for item in clean.items}
    same = {item.path for item in variant.items if before.get(item.path) == item}
    touched = {item.path for item in variant.items} - same
    partners = {each.partner for each in variant.truth} | {each.path for each in variant.truth}
    is_control = not variant.truth
    wrong = {
        hit
        for hit in hits
        if (hit.name in same - partners and not any(path in hit.mentions for path in touched))
        or (is_control and hit.name not in touched)
    }
    return Counter(hit.rule for hit in wrong)
