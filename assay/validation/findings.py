"""What the validation page shows of a rule that fails or sets images aside: thumbnails, pairs and rows, cut short."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import pandas as pd

from assay.dataset import batches
from assay.dataset.originals import Originals
from assay.images import decode, thumbnail
from assay.validation.rules import SEVERITIES

SHOWN = 12  # images or pairs of one rule
PICTURES = 300  # in all: each is a read and a decode, and some 5 kB of the page
LISTED = 100  # rows of one rule
SAME_PIXELS = "the same pixels"
UNUSED = "in no split"


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One image as it is shown. `picture`: a data URI, empty where there is none to show, and `why`."""

    path: str
    label: str
    split: str
    sha256: str  # by which `assay forget` knows that the page shows it
    picture: str
    why: str
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class Pair:
    left: Shot
    right: Shot
    said: str  # how near they are, and what they do not share


@dataclass(frozen=True, kw_only=True)
class Finding:
    rule: Mapping[str, Any]  # its entry of results.json
    n_rows: int  # that break it, the waived ones among them
    shots: list[Shot]
    pairs: list[Pair]
    rows: list[dict[str, str]]  # of failures.csv


def findings(
    results: Iterable[Mapping[str, Any]],
    failures: pd.DataFrame,
    images: pd.DataFrame,
    pairs: pd.DataFrame,
    raw: Originals,
) -> list[Finding]:
    """Return what there is to show of the results, the gravest first: their entries, and rows as in failures.csv.

    `images` is the manifest, `pairs` its near-duplicates, `raw` where their bytes lie.
    """
    known = images.drop_duplicates("path").set_index("path")
    chosen = [(rule, rows, _chosen(rows, known)) for rule, rows in _broken(results, failures)]
    wanted = dict.fromkeys(path for _, _, shown in chosen for each in shown for path in each)
    pictures = thumbnails(known.loc[list(wanted)[:PICTURES]], raw)
    distance = {(row.path, row.partner): _apart(row.distance, row.turned) for row in pairs.itertuples()}
    return [_finding(rule, rows, shown, known, pictures, distance) for rule, rows, shown in chosen]


def _apart(distance: float, turned: str) -> str:
    return f"distance {distance:.4f}" + f", {turned}" * bool(turned)


def _broken(
    results: Iterable[Mapping[str, Any]], failures: pd.DataFrame
) -> list[tuple[Mapping[str, Any], pd.DataFrame]]:
    """Return the rules that fail or have failing rows, the gravest first, with their rows."""
    by_rule = dict(iter(failures.groupby(["suite", "expectation"], sort=False)))
    none = failures.head(0)
    found = [(rule, by_rule.get((rule["suite"], rule["expectation"]), none)) for rule in results]
    found = [(rule, rows) for rule, rows in found if len(rows) or not rule["success"]]
    return sorted(found, key=lambda each: (each[0]["success"], SEVERITIES.index(each[0]["severity"])))


def _chosen(rows: pd.DataFrame, known: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the first images, or pairs of images, that the rows are about; no pair twice."""
    named = zip(rows["path"], rows["partner"].fillna(""), strict=True)
    both = (tuple(name for name in each if name in known.index) for each in named)
    once = {frozenset(each): each for each in list(both)[::-1] if each}
    return list(once.values())[::-1][:SHOWN]


def _finding(
    rule: Mapping[str, Any],
    rows: pd.DataFrame,
    shown: list[tuple[str, ...]],
    known: pd.DataFrame,
    pictures: Mapping[str, str],
    distance: Mapping[tuple[str, str], str],
) -> Finding:
    value = dict(zip(rows["path"], rows["value"], strict=True))

    def pair(path: str, partner: str) -> Pair:
        left, right = (_shot(each, known.loc[each], pictures) for each in (path, partner))
        near = distance.get((path, partner), distance.get((partner, path)))
        same = known.loc[path, "pixels"] == known.loc[partner, "pixels"]
        said = [SAME_PIXELS] if same else [] if near is None else [near]
        said += ["two labels"] * (left.label != right.label)
        said += ["two splits"] * (left.split != right.split and UNUSED not in (left.split, right.split))
        return Pair(left=left, right=right, said=", ".join(said))

    return Finding(
        rule=rule,
        n_rows=len(rows),
        shots=[_shot(each[0], known.loc[each[0]], pictures, value[each[0]]) for each in shown if len(each) == 1],
        pairs=[pair(each[0], each[1]) for each in shown if len(each) == 2],
        rows=rows.head(LISTED).fillna("").to_dict("records"),
    )


def _shot(path: str, row: "pd.Series[Any]", pictures: Mapping[str, str], value: str = "") -> Shot:
    why = "" if path in pictures else "not shown here"
    if not row["decodable"]:
        why = row["reason"] or "cannot be decoded"
    return Shot(
        path=path,
        label="unlabelled" if pd.isna(row["label"]) else row["label"] or "in no class",
        split=UNUSED if pd.isna(row["split"]) else row["split"],
        sha256="" if pd.isna(row["sha256"]) else row["sha256"],
        picture=pictures.get(path, ""),
        why=why,
        value=value,
    )


def thumbnails(rows: pd.DataFrame, raw: Originals) -> dict[str, str]:
    """Return a data URI for each image of the manifest's rows, indexed by path, that is there and can be decoded."""
    stored = rows[rows["decodable"] & rows["batch"].notna()].sort_values(["batch", "offset"])
    found: dict[str, str] = {}
    for name, members in stored.groupby("batch"):
        if (raw.folder / str(name)).exists():
            with (raw.folder / str(name)).open("rb") as tar:
                each = ((str(path), _thumbnail(tar, row, raw.reading)) for path, row in members.iterrows())
                found |= {path: uri for path, uri in each if uri}
    return found


def _thumbnail(tar: BinaryIO, row: "pd.Series[Any]", reading: decode.Reading) -> str:
    content = batches.read_image(tar, offset=row["offset"], size=row["bytes"], sha256=row["sha256"])
    try:
        with decode.opened(content, reading) as source:
            source.draft(None, (thumbnail.THUMBNAIL_PX, thumbnail.THUMBNAIL_PX))
            return thumbnail.small(decode.to_rgb(decode.load(source, reading.white_level)))
    except decode.Undecodable:  # `ingest` could; another Pillow may not
        return ""
