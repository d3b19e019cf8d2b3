"""params.yaml, typed.

Each stage checks the whole file, so a typo under `train` stops `ingest` and not a GPU. Below a stage's `main`
functions take their own section. Units are part of the name (`height_px`); a `share` is in [0, 1]. No default stands
here: a value lives in one file.
"""

import difflib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from assay import files
from assay.errors import AssayError

FILE = Path("params.yaml")

Count = Annotated[int, Field(gt=0, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Positive = Annotated[float, Field(gt=0, strict=True)]

_config = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True, config=_config)
class Metrics:
    data: Path
    gate: Path
    train: Path
    eval: Path


@dataclass(frozen=True, kw_only=True, config=_config)
class Memo:
    images: Path
    batches: Path
    pairs: Path
    shards: Path


@dataclass(frozen=True, kw_only=True, config=_config)
class Paths:
    source: Path
    ledger: Path
    near_limit: Path
    approved: Path
    raw: Path
    manifest: Path
    pairs: Path
    expectations: Path
    validation: Path
    data_docs: Path
    passed: Path
    records: Path
    index: Path
    verified: Path
    verification: Path
    model: Path
    predictions: Path
    evaluation: Path
    champions: Path
    candidate: Path
    card: Path
    history: Path
    confusion: Path
    roc: Path
    calibration: Path
    memo: Memo
    metrics: Metrics


@dataclass(frozen=True, kw_only=True, config=_config)
class Ingest:
    val_share: Share
    test_share: Share

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> "Ingest":
        if self.val_share + self.test_share >= 1:
            raise ValueError(f"val_share {self.val_share} + test_share {self.test_share} leave nothing to train on")
        return self


@dataclass(frozen=True, kw_only=True, config=_config)
class Gate:
    max_quarantined_share: Share


@dataclass(frozen=True, kw_only=True, config=_config)
class Preprocess:
    height_px: Count
    width_px: Count
    colour: Literal["grey", "rgb"]
    resize: Literal["stretch", "pad", "crop"]
    shard_images: Count


@dataclass(frozen=True, kw_only=True, config=_config)
class Verify:
    sample_images: Count


@dataclass(frozen=True, kw_only=True, config=_config)
class Augment:
    rotate_deg: Annotated[float, Field(ge=0, le=180, strict=True)]
    shift_share: Share
    zoom_share: Annotated[float, Field(ge=0, lt=1, strict=True)]
    flip: Literal["none", "horizontal", "both"]
    brightness_share: Share


@dataclass(frozen=True, kw_only=True, config=_config)
class Train:
    scale: Literal["unit", "symmetric", "standard"]
    filters: Annotated[tuple[Count, ...], Field(min_length=1)]
    dropout: Annotated[float, Field(ge=0, lt=1, strict=True)]
    batch_images: Count
    epochs: Count
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0, strict=True)]
    class_weights: Literal["balanced", "none"]
    augment: Augment


@dataclass(frozen=True, kw_only=True, config=_config)
class Evaluate:
    confidence: Annotated[float, Field(gt=0, lt=1, strict=True)]
    calibration_bins: Count


@dataclass(frozen=True, kw_only=True, config=_config)
class Register:
    min_accuracy: Share
    min_class_recall: Share
    max_accuracy_drop: Share


@dataclass(frozen=True, kw_only=True, config=_config)
class Params:
    seed: Annotated[int, Field(ge=0, lt=2**32, strict=True)]  # NumPy and TensorFlow take no more
    threads: Annotated[int, Field(gt=0, le=1024, strict=True)]
    paths: Paths
    ingest: Ingest
    gate: Gate
    preprocess: Preprocess
    verify: Verify
    train: Train
    evaluate: Evaluate
    register: Register


def load(file: Path = FILE) -> Params:
    """Return the checked parameters; a wrong, missing or unknown key is an `AssayError` that names it."""
    try:
        return TypeAdapter(Params).validate_python(files.read_yaml(file))
    except FileNotFoundError:
        raise AssayError(f"{file}: not found; run this in the folder that holds it") from None
    except ValidationError as error:
        wrong = "\n".join(f"{file}: {_said(details)}" for details in error.errors())
        raise AssayError(wrong) from None


def _said(details: ErrorDetails) -> str:
    """Return `key: what is wrong with it` for one of pydantic's findings."""
    key = ".".join(str(part) for part in details["loc"]) or "the file"
    match details["type"]:
        case "unexpected_keyword_argument":
            return f"{key}: unknown key{_nearest(details['loc'])}"
        case "missing":
            return f"{key}: missing"
        case _:
            message = details["msg"].removeprefix("Value error, ")
            says_it = details["type"] == "value_error" or isinstance(details["input"], dict)
            return f"{key}: {message[0].lower()}{message[1:]}" + ("" if says_it else f", not {details['input']!r}")


def _nearest(loc: tuple[int | str, ...]) -> str:
    """Return `; did you mean ...?` or the keys that are known where the unknown one stands."""
    section: Any = Params
    for part in loc[:-1]:
        section = next(field.type for field in fields(section) if field.name == part)
    known = [field.name for field in fields(section)] if is_dataclass(section) else []
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known here: {', '.join(known)}"
