"""Predictions as rows: a table for people, JSON, CSV or Parquet, each written as the predictions come."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from assay import files, words
from assay.errors import AssayError
from assay.inference.model import Prediction

DIGITS = 6
GROUP_ROWS = 4096  # of a Parquet file, in memory at once
WIDTHS = (48, 20, 6)  # of a table, in letters


def columns(top: int) -> list[str]:
    """Return the names of the columns; `predicted_2` is the second likeliest class."""
    more = [f"{name}_{place}" for place in range(2, top + 1) for name in ("predicted", "probability")]
    return ["path", "predicted", "probability", *more, "ordinary", "reason", "problem"]


def row(prediction: Prediction, top: int) -> dict[str, Any]:
    """Return the values of the columns; None where there is none."""
    found: dict[str, Any] = dict.fromkeys(columns(top))
    found |= {"path": prediction.name, "predicted": prediction.label, "problem": prediction.problem or None}
    if prediction.probability is not None:
        found["probability"] = round(prediction.probability, DIGITS)
    for place, (name, probability) in enumerate(prediction.top[1:top], 2):
        found |= {f"predicted_{place}": name, f"probability_{place}": round(probability, DIGITS)}
    return found | {"ordinary": prediction.is_ordinary, "reason": "; ".join(prediction.reasons) or None}


def write(predictions: Iterable[Prediction], form: str, out: Path | None, *, top: int) -> None:
    """Write the rows to the file, whole or not at all, or to standard output; `form`: table, json, csv or parquet."""
    if form == "parquet" and out is None:
        raise AssayError("predict: --format parquet needs --out FILE")
    with _opened(out) as content:
        FORMS[form]((row(each, top) for each in predictions), top, content)


@contextmanager
def _opened(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with files.replacing(out) as content:
            yield content


def _table(rows: Iterable[dict[str, Any]], top: int, out: BinaryIO) -> None:
    for each in rows:
        path = each["path"] if len(each["path"]) <= WIDTHS[0] else f"…{each['path'][1 - WIDTHS[0] :]}"
        if each["problem"]:
            line = f"{path:{WIDTHS[0]}}  cannot be read: {each['problem']}"
        else:
            answers = [_answer(each, place) for place in range(1, top + 1) if _answer(each, place)]
            line = f"{path:{WIDTHS[0]}}  {'  '.join(answers)}"
            line += f"  {each['reason']}" if each["ordinary"] is False else ""
        out.write(f"{_one_line(line.rstrip())}\n".encode("utf-8", "backslashreplace"))
        out.flush()


def _answer(each: dict[str, Any], place: int) -> str:
    suffix = f"_{place}" if place > 1 else ""
    name, probability = each[f"predicted{suffix}"], each[f"probability{suffix}"]
    return "" if probability is None else f"{name or '(none)':{WIDTHS[1]}} {probability:{WIDTHS[2]}.1%}"


def _one_line(text: str) -> str:
    return words.printable(text).replace("\n", "\\n")


def _text(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _plain(each: dict[str, Any]) -> dict[str, Any]:
    return {name: _text(value) if isinstance(value, str) else value for name, value in each.items()}


def _json(rows: Iterable[dict[str, Any]], top: int, out: BinaryIO) -> None:
    """Write one array, an image a line."""
    between = b"[\n"
    for each in rows:
        out.write(between + json.dumps(_plain(each), ensure_ascii=False).encode())
        between = b",\n"
    out.write(b"\n]\n" if between == b",\n" else b"[]\n")


def _csv(rows: Iterable[dict[str, Any]], top: int, out: BinaryIO) -> None:
    text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
    table = csv.DictWriter(text, columns(top), lineterminator="\n")
    table.writeheader()
    for each in rows:
        table.writerow({name: words.cell(value) for name, value in _plain(each).items()})
    text.detach()


def _parquet(rows: Iterable[dict[str, Any]], top: int, out: BinaryIO) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"ordinary": pa.bool_()} | {n: pa.float64() for n in columns(top) if n.startswith("probability")}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns(top)])
    waiting: list[dict[str, Any]] = []
    with pq.ParquetWriter(out, schema) as table:
        for each in rows:
            waiting.append(_plain(each))
            if len(waiting) == GROUP_ROWS:
                table.write_table(pa.Table.from_pylist(waiting, schema))
                waiting = []
        table.write_table(pa.Table.from_pylist(waiting, schema))


FORMS: dict[str, Callable[[Iterable[dict[str, Any]], int, BinaryIO], None]] = {
    "table": _table,
    "json": _json,
    "csv": _csv,
    "parquet": _parquet,
}
