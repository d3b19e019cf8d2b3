"""params.yaml, typed.

Each stage checks the whole file, so a typo under `train` stops `ingest` and not a GPU. Below a stage's `main`
functions take their own section. Units are part of the name (`height_px`); a `share` is in [0, 1]. No default stands
here: a value lives in one file.
"""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from assay import files, words
from assay.errors import AssayError

FILE = Path("params.yaml")

Count = Annotated[int, Field(gt=0, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Positive = Annotated[float, Field(gt=0, strict=True)]
NotNegative = Annotated[float, Field(ge=0, strict=True)]

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
    proofs: Path
    training: Path


@dataclass(frozen=True, kw_only=True, config=_config)
class Paths:
    source: Path
    ledger: Path
    near_limit: Path
    approved: Path
    relabels: Path
    raw: Path
    manifest: Path
    pairs: Path
    expectations: Path
    validation: Path
    passed: Path
    records: Path
    index: Path
    networks: Path
    verified: Path
    verification: Path
    model: Path
    training: Path
    outputs: Path
    answering: Path
    reference: Path
    export: Path
    extras: Path
    predictions: Path
    evaluation: Path
    verdict: Path
    champions: Path
    looks: Path
    noise: Path
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
    max_file_mb: Count
    max_megapixels: Annotated[int, Field(gt=0, le=178, strict=True)]  # Pillow refuses 179
    white_level: Annotated[int, Field(gt=255, lt=65536, strict=True)] | None

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
    """A preset, and what it is changed in: None leaves its strength."""

    preset: Literal["none", "light", "medium", "strong"]
    flip: Literal["none", "horizontal", "vertical", "both"] | None = None
    rotate_deg: Annotated[float, Field(ge=0, le=180, strict=True)] | None = None
    shift_share: Share | None = None
    zoom_share: Annotated[float, Field(ge=0, lt=1, strict=True)] | None = None
    shear_deg: Annotated[float, Field(ge=0, lt=60, strict=True)] | None = None
    crop_share: Annotated[float, Field(ge=0, lt=1, strict=True)] | None = None
    brightness_share: Share | None = None
    contrast_share: Share | None = None
    colour_share: Share | None = None
    noise_share: Share | None = None
    cutout_share: Share | None = None


@dataclass(frozen=True, kw_only=True, config=_config)
class Transfer:
    weights: str
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    side_px: Count | None
    head_epochs: Count
    from_layer: str | None
    learning_rate: Positive


@dataclass(frozen=True, kw_only=True, config=_config)
class Train:
    network: str
    portable: Annotated[bool, Field(strict=True)]
    scale: Literal["unit", "symmetric", "standard"]
    filters: Annotated[tuple[Count, ...], Field(min_length=1)]
    activation: Literal["relu", "leaky_relu", "elu", "silu", "gelu"]
    normalisation: Literal["batch", "none"]
    transfer: Transfer
    dropout: Annotated[float, Field(ge=0, lt=1, strict=True)]
    batch_images: Count
    imbalance: Literal["none", "balanced", "effective_number", "logit_adjustment", "oversample", "undersample", "focal"]
    augment: Augment
    epochs: Count
    optimizer: Literal["adam", "adamw", "sgd"]
    learning_rate: Positive
    schedule: Literal["constant", "exponential", "cosine", "one_cycle", "plateau"]
    warmup_share: Annotated[float, Field(ge=0, lt=1, strict=True)]
    plateau_epochs: Count
    momentum: Annotated[float, Field(ge=0, lt=1, strict=True)]
    weight_decay: NotNegative
    l1: NotNegative
    l2: NotNegative
    clip_norm: Positive | None
    label_smoothing: Annotated[float, Field(ge=0, lt=1, strict=True)]
    keep: Literal["auto", "best", "smoothed", "last"]
    patience_epochs: Count | None
    max_epochs: Count | None
    max_minutes: Positive | None
    device: Literal["auto", "cpu", "gpu"]
    distribute: Literal["none", "mirrored", "workers"]
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"]
    jit_compile: Annotated[bool, Field(strict=True)]
    tensorboard: Literal["none", "scalars", "histograms"]


@dataclass(frozen=True, kw_only=True, config=_config)
class Search:
    """Where `assay tune` looks for a value of `train`: between two, or among some."""

    low: float | None = None
    high: float | None = None
    log: bool = False  # small values are as likely as large ones
    choices: tuple[str | float | int | bool, ...] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Search":
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("wanted are either choices, or low and high")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        return self


@dataclass(frozen=True, kw_only=True, config=_config)
class Evaluate:
    confidence: Annotated[float, Field(gt=0, lt=1, strict=True)]
    calibration_bins: Count


@dataclass(frozen=True, kw_only=True, config=_config)
class Register:
    min_accuracy: Share
    min_class_recall: Share
    metric: Literal["accuracy", "f1_macro", "recall_macro"]
    margin: Share
    confidence: Annotated[float, Field(gt=0.5, lt=1, strict=True)]
    max_new_error_share: Share
    allow_label_change: Annotated[bool, Field(strict=True)]


@dataclass(frozen=True, kw_only=True, config=_config)
class Export:
    int8_min_agreement: Share


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
    tune: dict[str, Search]
    evaluate: Evaluate
    register: Register
    export: Export


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
        section = next((field.type for field in fields(section) if field.name == part), None)
        if get_origin(section) is dict:  # whose keys are anybody's
            return ""
    known = [field.name for field in fields(section)] if is_dataclass(section) else []
    return "; " + words.meant(loc[-1], known, f"known here: {', '.join(known)}")
