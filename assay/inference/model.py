"""An exported model in memory, with its own preprocessing. No TensorFlow, and no pandas, is imported.

Images are decoded as those that it was trained on, by assay/images/decode.py, so the pixels are the same bit for bit.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from os import PathLike
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageFile

from assay import labels
from assay.errors import AssayError
from assay.evaluation import ood
from assay.images import decode
from assay.inference import exported
from assay.inference.exported import About, Export
from assay.sources import places

BATCH_IMAGES = 16  # the session's memory grows with it, and on a CPU more are hardly faster

Item = str | PathLike[str] | bytes | Image.Image | np.ndarray


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What is said of one image; where it cannot be read `problem` says why, and label and probability are None."""

    name: str
    label: str | None = None  # of a multi-label set the names with "|" between them, empty for none
    probability: float | None = None  # of the label; of a multi-label set how sure the least sure decision is
    top: tuple[tuple[str, float], ...] = ()  # the likeliest classes with their probability, in [0, 1]
    probabilities: np.ndarray | None = field(default=None, compare=False, repr=False)  # float32 [K]
    is_ordinary: bool | None = None  # None: the export has no reference to tell by
    reasons: tuple[str, ...] = ()  # why it is not
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Of N images that were read: what the graph returns, and the verdicts."""

    probabilities: np.ndarray  # float32 [N, K]
    embedding: np.ndarray  # float32 [N, D]
    maps: np.ndarray | None  # float32 [N, h, w, K], if asked for and there
    verdicts: tuple[ood.Verdict, ...] | None


class Model:
    """Answers images of any kind; one object serves any number of threads."""

    def __init__(self, export: Export, version: str | None = None) -> None:
        self.about: About = export.about
        self.sha256 = export.sha256  # of model.json
        self.folder = export.folder
        self.version = version or f"sha256:{export.sha256[:12]}"
        self.reference, self.limits = _reference(export)
        self._session = _session(export.contents[exported.GRAPH])
        _check(self._session, export)

    def predict(self, images: Item | Iterable[Item], *, top: int = 3) -> list[Prediction]:
        """Return what is said of each image, in their order: paths, URLs, encoded bytes, PIL images, or uint8 arrays.

        Arrays are RGB [H, W, 3] or [H, W, 4], or grey [H, W] or [H, W, 1]; [N, H, W, C] are N images. One that cannot
        be read costs the others nothing.
        """
        each: Iterable[Item]
        if isinstance(images, np.ndarray):
            each = images if images.ndim == 4 else [images]
        else:
            each = [images] if isinstance(images, str | PathLike | bytes | Image.Image) else images
        named = ((_name(item, number), self._pixels_or_problem(item)) for number, item in enumerate(each))
        return list(self.said(named, top=top))

    def said(self, images: Iterable[tuple[str, np.ndarray | str]], *, top: int) -> Iterator[Prediction]:
        """Yield the prediction of each image, given by name and pixels, or by name and why it cannot be read."""
        waiting = iter(images)
        while batch := list(islice(waiting, BATCH_IMAGES)):
            readable = [pixels for _, pixels in batch if not isinstance(pixels, str)]
            told = iter(self._told(np.stack(readable), top) if readable else [])
            for name, pixels in batch:
                if isinstance(pixels, str):
                    yield Prediction(name=name, problem=pixels)
                else:
                    yield Prediction(name=name, **next(told))

    def answers(self, pixels: np.ndarray, *, maps: bool = False) -> Answers:
        """Return what the model says of uint8 pixels [N, H, W, C], as `pixels` makes them."""
        wanted = ["probabilities", "embedding"] + ["maps"] * (maps and "maps" in self.about.outputs)
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True
        found = dict(zip(wanted, self._session.run(wanted, {"image": pixels}, options), strict=True))
        verdicts = None
        if self.reference is not None and self.limits is not None:
            verdicts = tuple(ood.verdicts(self.reference, self.limits, found["embedding"], pixels))
        return Answers(maps=found.pop("maps", None), verdicts=verdicts, **found)

    def pixels(self, item: Item, max_pixels: int | None = None) -> np.ndarray:
        """Return what the model sees of an image, uint8 [H, W, C]; raises `decode.Undecodable` or `OSError`.

        `max_pixels`: what it may have before it is decoded.
        """
        how = asdict(self.about.preprocessing)
        if isinstance(item, str | PathLike):
            item = places.read(str(item))
        if isinstance(item, Image.Image):
            item = _as_encoded(item)
        if isinstance(item, bytes):
            return decode.prepare(item, **how, max_pixels=max_pixels)
        del how["white_level"]  # of pixels with 8 bits, as these are, it says nothing
        return decode.prepare_decoded(_from_array(item) if isinstance(item, np.ndarray) else item, **how)

    def _pixels_or_problem(self, item: Item) -> np.ndarray | str:
        try:
            return self.pixels(item)
        except (decode.Undecodable, OSError) as error:
            return problem(error)

    def _told(self, pixels: np.ndarray, top: int) -> list[dict[str, Any]]:
        found = self.answers(pixels)
        verdicts: Sequence[ood.Verdict | None] = found.verdicts or [None] * len(pixels)
        return [
            told(self.about, probabilities, verdict, top)
            for probabilities, verdict in zip(found.probabilities, verdicts, strict=True)
        ]


def told(about: About, probabilities: np.ndarray, verdict: ood.Verdict | None, top: int) -> dict[str, Any]:
    """Return the fields of a `Prediction` of an image that was read."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    if about.task == "multi_label":
        label = labels.decode(probabilities >= np.array(about.limits), about.classes)
        probability = float(np.maximum(probabilities, 1 - probabilities).min())
    else:
        best = int(probabilities.argmax())
        label, probability = about.classes[best], float(probabilities[best])
    return {
        "label": label,
        "probability": probability,
        "top": tuple((about.classes[place], float(probabilities[place])) for place in order),
        "probabilities": probabilities,
        "is_ordinary": None if verdict is None else not verdict.is_unlike,
        "reasons": () if verdict is None else verdict.reasons,
    }


def problem(error: Exception) -> str:
    """Return why an image cannot be read, in one line without its path."""
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__


def _name(item: Item, number: int) -> str:
    return str(item) if isinstance(item, str | PathLike) else f"image {number}"


def _as_encoded(item: Image.Image) -> bytes | Image.Image:
    """Return the bytes of a file that Pillow has opened and not decoded, so that the decode is ours."""
    content = item.fp if isinstance(item, ImageFile.ImageFile) else None
    if content is None or getattr(item, "_im", None) is not None:
        return item
    place = content.tell()
    content.seek(0)
    encoded = content.read()
    content.seek(place)
    return encoded


def _from_array(pixels: np.ndarray) -> Image.Image:
    grey = pixels.ndim == 3 and pixels.shape[-1] == 1
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[-1] in (1, 3, 4))):
        shape = " x ".join(map(str, pixels.shape))
        raise decode.Undecodable(f"array of {pixels.dtype}, {shape}: must be uint8 [H, W], [H, W, 1], [H, W, 3] or 4")
    if not pixels.size:
        raise decode.Undecodable("an empty array")
    return Image.fromarray(pixels[..., 0] if grey else pixels)


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # whoever wants more speed has more threads ask
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _check(session: onnxruntime.InferenceSession, export: Export) -> None:
    """Raise `AssayError` where the graph answers for another number of classes than model.json names."""
    n, outputs = len(export.about.classes), {each.name: each.shape for each in session.get_outputs()}
    seen = outputs["probabilities"][-1]
    if isinstance(seen, int) and seen != n:
        where = exported.ABOUT if export.folder is None else export.folder / exported.ABOUT
        raise AssayError(
            f"{where}: names {n:,} classes, and {exported.GRAPH} answers "
            f"for {seen:,}: changed by hand, so it is not used; `dvc repro register` makes an export"
        )


def _reference(export: Export) -> tuple[ood.Reference | None, ood.Limits | None]:
    if export.about.ood is None or exported.REFERENCE not in export.contents:
        return None, None
    with np.load(io.BytesIO(export.contents[exported.REFERENCE]), allow_pickle=False) as arrays:
        return ood.Reference(**dict(arrays)), ood.Limits(**export.about.ood)
