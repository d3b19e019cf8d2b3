"""The page of a look at new images: what moved, the images that show it best, and those that are hard to tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from assay import labels, pages
from assay.images import decode, thumbnail
from assay.inference.monitoring import survey
from assay.inference.monitoring.survey import Comparison
from assay.sources.listing import Source
from assay.validation import curves
from assay.validation.profile import distance, properties
from assay.validation.profile.approved import Profile

SHOWN = 12  # images of each group
CLASSES = 100  # the most moved
LISTED = 20  # images that cannot be decoded


@dataclass(frozen=True, kw_only=True)
class Group:
    """Images of one heading; `said`: what is to be seen of each."""

    title: str
    paths: tuple[str, ...]
    said: tuple[str, ...]


def chosen(rows: pd.DataFrame, moved: Sequence[Comparison], approved: Profile | None, task: labels.Task) -> list[Group]:
    """Return the images to show, of rows that decode: for each property that moved the furthest, then the unsure."""
    groups = [_extreme(rows, each, approved) for each in moved if approved and each.name in properties.PIXELS]
    groups += [_named(rows, each.of, task) for each in moved if each.of and each.now > each.before]
    if rows["probability"].notna().any():
        least = rows.nsmallest(SHOWN, "probability", keep="first")
        said = tuple(f"{row.predicted or 'no class'}, {row.probability:.2f}" for row in least.itertuples())
        groups.append(Group(title="the champion is least sure of", paths=tuple(least["path"]), said=said))
    return groups


def _extreme(rows: pd.DataFrame, moved: Comparison, approved: Profile) -> Group:
    at = properties.NAMES.index(moved.name)
    values = properties.values(rows)[at]
    counts = np.sum(list(approved.strata.values()), axis=0)[at]
    places = survey.extremes(values, approved.edges[at], distance.cumulative(counts), SHOWN)
    said = tuple(f"{values[place]:.4g}" for place in places)
    return Group(title=f"{moved.name}: the most extreme", paths=tuple(rows["path"].iloc[places]), said=said)


def _named(rows: pd.DataFrame, name: str, task: labels.Task) -> Group:
    """Return the surest of the class that is named more often than before."""
    is_named = rows["predicted"].map(lambda label: name in labels.names(label, task))
    surest = rows[is_named].nlargest(SHOWN, "probability", keep="first")
    said = tuple(f"{each:.2f}" for each in surest["probability"])
    return Group(title=f"named {name!r}: the surest", paths=tuple(surest["path"]), said=said)


def render(
    results: Mapping[str, Any],
    rows: pd.DataFrame,
    groups: Sequence[Group],
    compared: Sequence[Comparison],
    approved: Profile | None,
    images: Source,
    reading: decode.Reading,
) -> str:
    """Return the page, the same for the same images, champion and approved profile.

    `results` as in results.json; `rows` all new images; `groups` what is shown of them, read from `images` again.
    """
    place = {entry.path: entry for entry in images.entries}
    wanted = dict.fromkeys(path for group in groups for path in group.paths)
    shown = {path: _thumbnail(images.read(place[path]), reading) for path in wanted}
    sha256 = dict(zip(rows["path"], rows["sha256"], strict=True))
    broken = rows[~rows["decodable"]]
    classes = sorted(results.get("classes", []), key=lambda row: (-abs(row["now"] - row["test"]), row["class"]))
    usable = rows[rows["decodable"]]
    return pages.render(
        "inference/monitoring/page.html",
        groups=groups,
        pictures=shown,
        sha256=sha256,
        compared=compared,
        curves=curves.curves(usable, approved) if approved else [],
        broken=broken[["path", "reason"]].head(LISTED).to_dict("records"),
        shares=classes[:CLASSES],
        words=properties.WORDS,
        n_classes=len(classes),
        **results,
    )


def _thumbnail(content: bytes, reading: decode.Reading) -> str:
    with decode.opened(content, reading) as source:
        source.draft(None, (thumbnail.THUMBNAIL_PX, thumbnail.THUMBNAIL_PX))
        return thumbnail.small(decode.to_rgb(decode.load(source, reading.white_level)))
