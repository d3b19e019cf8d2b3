"""Corrected labels: data/relabels.csv, an overlay in git over what the source says. The source itself is never edited.

A row holds for a content (`sha256`), wherever it lies, as long as the source still gives it the label that was
corrected (`was`): a source that was mended since has the last word. An empty label says of a multi-label image: in no
class.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from assay import files, labels, words
from assay.errors import AssayError
from assay.labels import Task

COLUMNS = ("sha256", "was", "label", "path")  # path: for people, as it was when the label was corrected
CORRECTED = "corrected"  # of a queue that was looked through: the right label, empty where it is right as it is


@dataclass(frozen=True, kw_only=True)
class Applied:
    rows: pd.DataFrame
    n_corrected: int  # images
    n_overtaken: int  # images of which the source says something else by now


def read(file: Path) -> pd.DataFrame:
    """Return the corrections; raises `AssayError` for a file of another form, or that has a content twice."""
    if not file.exists():
        return pd.DataFrame(columns=list(COLUMNS), dtype=str)
    found = _table(file)
    if tuple(found.columns) != COLUMNS:
        raise AssayError(
            f"{file}: columns are {words.few(list(found.columns), 'sha256')}, must be {', '.join(COLUMNS)}"
        )
    if found["sha256"].duplicated().any():
        twice = found.loc[found["sha256"].duplicated(), "sha256"].iloc[0]
        raise AssayError(f"{file}: {twice} stands there twice; keep the row that is right")
    return found


def write(file: Path, corrections: pd.DataFrame) -> None:
    """Write the corrections, sorted by content."""
    files.write_csv(file, corrections[list(COLUMNS)].sort_values("sha256"))


def apply(rows: pd.DataFrame, corrections: pd.DataFrame) -> Applied:
    """Return the rows, with `sha256` and `label`, with the corrected labels."""
    if corrections.empty:
        return Applied(rows=rows, n_corrected=0, n_overtaken=0)
    found = rows[["sha256", "label"]].merge(corrections[["sha256", "was", "label"]], on="sha256", how="left")
    has, said = found["was"].notna().to_numpy(), found["label_x"].fillna("").to_numpy()
    agrees = has & (said == found["was"].to_numpy())
    label = rows["label"].where(~agrees, found["label_y"].to_numpy())
    overtaken = has & ~agrees & (said != found["label_y"].fillna("").to_numpy())
    return Applied(rows=rows.assign(label=label), n_corrected=int(agrees.sum()), n_overtaken=int(overtaken.sum()))


def reviewed(file: Path, manifest: pd.DataFrame, known: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return the corrections of `known` with those of a reviewed list added.

    The list is a CSV with `path` or `sha256`, and `corrected` (rows where it is empty are passed over) or `label`.
    `manifest`: path, sha256 and label of the images, as they are with `known`. Raises `AssayError` for an image or a
    class that is not there, and two answers for one image.
    """
    answers = _answers(file)
    by_path = manifest.dropna(subset="sha256").set_index("path")["sha256"]
    first = manifest.dropna(subset="sha256").drop_duplicates("sha256").set_index("sha256")
    classes = labels.classes(manifest["label"].dropna(), task)
    was = known.set_index("sha256")["was"].to_dict()
    made = known.set_index("sha256").to_dict("index")
    seen: dict[str, str] = {}
    for number, row in enumerate(answers, 2):
        sha256 = _content(f"{file}: line {number}", row, by_path.to_dict(), set(first.index))
        label = _label(f"{file}: line {number}", row["label"], classes, task)
        if seen.setdefault(sha256, label) != label:
            raise AssayError(
                f"{file}: line {number}: {first.at[sha256, 'path']} is {seen[sha256]!r} above, here {label!r}"
            )
        source = was.get(sha256, first.at[sha256, "label"] or "")
        made.pop(sha256, None)
        if label != source:
            made[sha256] = {"was": source, "label": label, "path": first.at[sha256, "path"]}
    return pd.DataFrame([{"sha256": key, **row} for key, row in made.items()], columns=list(COLUMNS))


def _answers(file: Path) -> list[dict[str, str]]:
    found = _table(file)
    if not {"path", "sha256"} & set(found.columns) or not {"label", CORRECTED} & set(found.columns):
        raise AssayError(
            f"{file}: has {words.few(list(found.columns), 'path')}; wanted are path or sha256, and {CORRECTED} or label"
        )
    if CORRECTED in found.columns:
        found = found[found[CORRECTED] != ""].assign(label=lambda rows: rows[CORRECTED])
    return [{str(key): words.of_cell(str(value)) for key, value in row.items()} for row in found.to_dict("records")]


def _table(file: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(file, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise AssayError(f"{file}: not found") from None
    except (ValueError, pd.errors.ParserError) as error:
        raise AssayError(f"{file}: not a CSV table: {' '.join(str(error).split())}") from None


def _content(where: str, row: Mapping[str, str], by_path: Mapping[str, str], contents: set[str]) -> str:
    if sha256 := row.get("sha256"):
        if sha256 not in contents:
            raise AssayError(f"{where}: no image has the SHA-256 {sha256}")
        return sha256
    path = row.get("path", "")
    if not path:
        empty = " and ".join(name for name in ("path", "sha256") if name in row)
        raise AssayError(f"{where}: names no image: {empty} empty; fill it in, or delete the line")
    words.check_known(where, path, by_path)
    return by_path[path]


def _label(where: str, label: str, classes: tuple[str, ...], task: Task) -> str:
    for name in labels.names(label, task):
        words.check_known(where, name, classes)
    return label if task == "single_label" else labels.joined(labels.names(label, task))
