"""Shortcuts: what gives a class away without showing it. Pure: arrays in, numbers out.

A model takes the easiest way: if all images of a class come from one camera, in one size, or with a stamp in a corner,
it learns that. Each class is looked at against the rest, for one shortcut to one class of many hides in an accuracy. A
property is judged by its area under the ROC curve (AUC) alone; the border by that of a linear model that sees nothing
else, with the one of the centre beside it.
"""

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from assay.labels import Task
from assay.validation.profile import properties, strata
from assay.validation.profile.approved import Profile

PROPERTIES = tuple(name for name in properties.NAMES if name != "bytes")  # how busy a picture is may be its class
NAMED = ("format", "mode", "camera")
SHORTCUTS = ("property", "label", "auc", "approved", "gain", "unapproved", "n_images")
BORDERS = ("label", "auc", "centre", "lead", "place", "n_images")
ASSOCIATIONS = ("property", "v", "n_values")
SURE = 2.576  # standard errors: one in a hundred is further off
SEED = 0  # of the sample
FOLDS = 5
SAMPLE = 5_000  # images that the probes learn from, at most
FEWEST = 10  # images of a class, and others: of fewer the probes say nothing
MORE = 0.05  # by which a place must tell a class better than the approved one did
COMMON, NEAR = 0.25, 2  # a level, give or take so many, that more border pixels of other images have is a background
PENALTY = 100.0  # on the weights of the probes: with 60 pixels and few images the rest would be noise
DIGITS = 3  # of what is fitted: further ones differ between processors


def tables(approved: Profile | None, rows: pd.DataFrame, pixels: np.ndarray, task: Task) -> dict[str, pd.DataFrame]:
    """Return `shortcuts`, `borders` and `associations` of the images that have a split, columns as the constants say.

    `pixels`: border and centre of each row, uint8 [N, 2, D]. `gain` is by how much an AUC is above the approved one
    beyond chance, 0 where none is approved; `unapproved` is the AUC where none is approved, 0.5 elsewhere. `lead` is by
    how much the border tells a class better than the centre does, and than the approved border did, beyond chance.
    `place` is the AUC of the one pixel of the border that tells it best (see `places`), 0.5 where one as good is
    approved.
    """
    is_used = rows["split"].notna().to_numpy()
    used = rows[is_used]
    if used.empty:
        names = {"shortcuts": SHORTCUTS, "borders": BORDERS, "associations": ASSOCIATIONS}
        return {name: pd.DataFrame(columns=list(columns)) for name, columns in names.items()}
    classes, marks = strata.marked(used["label"], task)
    return {
        "shortcuts": _shortcuts(approved.auc if approved else {}, used, classes, marks),
        "borders": _borders(approved.probe if approved else {}, used, pixels[is_used], classes, marks),
        "associations": _associations(used),
    }


def _shortcuts(
    approved: dict[str, dict[str, float]], used: pd.DataFrame, classes: list[str], marks: np.ndarray
) -> pd.DataFrame:
    chosen = [place for place, name in enumerate(properties.NAMES) if name in PROPERTIES]
    found = auc(properties.values(used)[chosen], marks)
    n_images = marks.sum(axis=0)
    error = deviation(found, n_images, len(marks) - n_images)
    known = np.array([[approved.get(name, {}).get(label, np.nan) for label in classes] for name in PROPERTIES])
    gain = np.maximum(found - known - SURE * np.sqrt(2) * error, 0)
    columns = {
        "property": np.repeat(PROPERTIES, len(classes)),
        "label": np.tile(classes, len(PROPERTIES)),
        "auc": found.ravel().round(4),
        "approved": known.ravel(),
        "gain": np.nan_to_num(gain).ravel().round(4),
        "unapproved": np.where(np.isnan(known), found, 0.5).ravel().round(4),
        "n_images": np.tile(n_images, len(PROPERTIES)),
    }
    return pd.DataFrame(columns)[list(SHORTCUTS)]


def _borders(
    approved: dict[str, dict[str, float]], used: pd.DataFrame, pixels: np.ndarray, classes: list[str], marks: np.ndarray
) -> pd.DataFrame:
    chosen = sample(marks, SEED)
    unit = strata.groups(used)[chosen]
    border, centre = (probe(pixels[chosen, part], marks[chosen], unit) for part in (0, 1))
    accepted = np.array([approved.get(label, {}).get("border", 0.5) for label in classes])
    n_images = marks[chosen].sum(axis=0)
    error = np.hypot(*(deviation(each, n_images, len(chosen) - n_images) for each in (border, centre)))
    lead = np.maximum(border - np.maximum(centre, accepted) - SURE * error, 0).round(DIGITS)
    seen = places(pixels[chosen, 0], marks[chosen])
    known = np.array([approved.get(label, {}).get("place", 0.5) for label in classes])
    place = np.where(seen > known + MORE, seen, 0.5).round(DIGITS)
    columns = [classes, border, centre, lead, place, marks.sum(axis=0)]
    return pd.DataFrame(dict(zip(BORDERS, columns, strict=True)))


def _associations(used: pd.DataFrame) -> pd.DataFrame:
    values = {name: used[name].fillna("none").astype("str") for name in NAMED}
    found = [(name, round(association(of, used["label"]), 4), of.nunique()) for name, of in values.items()]
    return pd.DataFrame(found, columns=list(ASSOCIATIONS))


def auc(values: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Return how well each property tells each class from the rest, by its higher or lower values: [P, K] in [0.5, 1].

    `values` [P, N], NaN lowest; `marks` bool [N, K]. Ties count half: Mann and Whitney (1947). 0.5 where a class has
    all images or none.
    """
    positive = marks.sum(axis=0)
    pairs = np.maximum(positive * (len(marks) - positive), 1)
    places = [np.flatnonzero(of_class) for of_class in marks.T]
    found = np.empty((len(values), marks.shape[1]))
    for row, of_property in zip(found, values, strict=True):
        ranks = stats.rankdata(np.nan_to_num(of_property, nan=-np.inf))
        above = np.array([ranks[of_class].sum() for of_class in places]) - positive * (positive + 1) / 2
        row[:] = np.where((positive > 0) & (positive < len(marks)), above / pairs, 0.5)
    either_way: np.ndarray = np.maximum(found, 1 - found)
    return either_way


def deviation(auc: np.ndarray, n_positive: np.ndarray, n_negative: np.ndarray) -> np.ndarray:
    """Return the standard error of an AUC: Hanley and McNeil, "The meaning and use of the area under a ROC" (1982)."""
    both, one = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (n_positive - 1) * (both - auc**2) + (n_negative - 1) * (one - auc**2)
    error: np.ndarray = np.sqrt(np.maximum(spread, 0) / np.maximum(n_positive * n_negative, 1))
    return error


def probe(pixels: np.ndarray, marks: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the AUC [K], at least 0.5, with which a linear model of these pixels tells each class from the rest.

    The model is the least-squares discriminant, a hundred times as quick as a logistic regression and on a stamp in a
    corner no worse.

    `pixels` uint8 [N, D]; `marks` bool [N, K]; `unit` int [N]: images of one unit, a patient or a film, are never on
    both sides of the cross-validation. The scores of all folds are ranked together. 0.5 too where there are not images
    or units enough to say.
    """
    found = np.full(marks.shape[1], 0.5)
    enough = np.flatnonzero((marks.sum(axis=0) >= FEWEST) & ((~marks).sum(axis=0) >= FEWEST))
    if len(np.unique(unit)) < FOLDS or not len(enough):
        return found
    known, scores = marks[:, enough], np.zeros((len(marks), len(enough)))
    with threadpool_limits(1):  # the products are small: more threads wait for each other longer than they work
        for train, test in GroupKFold(FOLDS).split(pixels, groups=unit):
            scores[test] = _scores(pixels[train] / 255, known[train], pixels[test] / 255)
    found[enough] = [directed_auc(*pair) for pair in zip(scores.T, known.T, strict=True)]
    at_least_chance: np.ndarray = np.maximum(found, 0.5).round(DIGITS)
    return at_least_chance


def places(border: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Return how well the one pixel that is best tells each class by its level: an AUC [K], 0.5 for small classes.

    A stamp has one level in all images of a class, and what else lies there has any; so an image scores the higher the
    nearer it is to the median of the class, and a grey stamp, which a linear model cannot see, is as plain as a white
    one. `border` uint8 [N, D]; `marks` bool [N, K]. A level that is the background of the others counts as none.
    """
    found = np.full(marks.shape[1], 0.5)
    for number in np.flatnonzero((marks.sum(axis=0) >= FEWEST) & ((~marks).sum(axis=0) >= FEWEST)):
        of_class, others = border[marks[:, number]], border[~marks[:, number]]
        levels = np.median(of_class, axis=0).astype(np.int16)
        near = [_below(np.abs(each - levels)) for each in (of_class, others)]
        auc = 1 - ((near[0][:, 1:] - near[0][:, :-1]) * (near[1][:, 1:] + near[1][:, :-1]) / 2).sum(axis=1)
        shares = np.bincount(others.ravel(), minlength=256) / others.size
        common = np.convolve(shares, np.ones(2 * NEAR + 1), "same")[levels]
        found[number] = auc[common <= COMMON].max(initial=0.5)
    return found


def _below(distances: np.ndarray) -> np.ndarray:
    """Return the share of the images [N, D] that are nearer than 0, 1, ... 256 levels: [D, 257], for each pixel."""
    n, n_pixels = distances.shape
    counts = np.bincount((distances + 256 * np.arange(n_pixels)).ravel(), minlength=256 * n_pixels)
    cumulative = np.cumsum(counts.reshape(n_pixels, 256), axis=1) / n
    found: np.ndarray = np.concatenate([np.zeros((n_pixels, 1)), cumulative], axis=1)
    return found


def _scores(seen: np.ndarray, marks: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Return the scores [M, K] of the unseen images, of all classes at once."""
    model = make_pipeline(StandardScaler(), Ridge(alpha=PENALTY)).fit(seen, marks.astype(np.float64))
    scores: np.ndarray = model.predict(unseen).reshape(len(unseen), -1)
    return scores


def directed_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the share of pairs of a positive and another in which the positive has the higher score."""
    n = int(positive.sum())
    above = stats.rankdata(scores)[positive].sum() - n * (n + 1) / 2
    return float(above / max(n * (len(positive) - n), 1))


def sample(marks: np.ndarray, seed: int) -> np.ndarray:
    """Return the places of at most `SAMPLE` images, sorted: of rare classes all that there are. `marks` bool [N, K]."""
    n, n_classes = marks.shape
    if n <= SAMPLE:
        return np.arange(n)
    order = np.random.default_rng(seed).permutation(n)
    parts = [order[of_class[order]][: SAMPLE // n_classes] for of_class in marks.T]
    first = np.concatenate([*parts, order])
    _, place = np.unique(first, return_index=True)
    chosen: np.ndarray = np.sort(first[np.sort(place)[:SAMPLE]])
    return chosen


def association(one: "pd.Series[str]", other: "pd.Series[str]") -> float:
    """Return Cramér's V of two columns of names, corrected for chance, [0, 1]: Bergsma (2013)."""
    table = pd.crosstab(one, other).to_numpy()
    n = table.sum()
    if n < 2 or min(table.shape) < 2:
        return 0.0
    chi = stats.chi2_contingency(table, correction=False).statistic
    rows, columns = table.shape
    excess = max(0.0, chi / n - (rows - 1) * (columns - 1) / (n - 1))
    sides = [side - (side - 1) ** 2 / (n - 1) for side in (rows, columns)]
    return float(np.sqrt(excess / max(min(sides) - 1, 1e-9)).clip(0, 1))
