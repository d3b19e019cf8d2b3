"""Why one image is answered so: what was read, whether the answer is steady, and what is known of it."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from assay import Classifier
from assay.inference import explain, one_image
from assay.inference.explain import Explanation, Neighbour
from assay.inference.model import Prediction
from assay.inference.one_image import Known, Steadiness

STEADY = Steadiness(n_changes=8, others=())


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    folder = tmp_path_factory.mktemp("export")
    tiny.write(folder, tiny.network())
    return Classifier.load(folder)


@settings(max_examples=30)
@given(
    arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3])),
        elements=st.integers(0, 255),
    )
)
def test_light_changes_keep_the_shape_of_any_image(pixels: np.ndarray) -> None:
    found = dict(one_image.changed(pixels))
    assert len(found) == 8
    assert all(each.shape == pixels.shape and each.dtype == np.uint8 for each in found.values())


def test_a_shift_moves_every_pixel_and_brightness_scales_it() -> None:
    pixels = np.arange(400, dtype=np.uint8).reshape(20, 20, 1)
    found = dict(one_image.changed(pixels))
    assert (found["shifted right by +1 px"][:, 1:] == pixels[:, :-1]).all()
    assert (found["shifted down by -1 px"][:-1] == pixels[1:]).all()
    assert found["+10% brightness"].max() == 255
    assert found["-10% brightness"][0, 10, 0] == 9


def test_an_image_of_one_grey_is_steady(classifier: Classifier) -> None:
    """No turn or shift changes it, and the changes of brightness are the only others."""
    found = one_image.steadiness(classifier, np.full((16, 16, 3), 90, np.uint8))
    assert found.n_changes == 8
    assert all("brightness" in name for name, _ in found.others)


class Column:
    """Answers ant where column 10 is bright, else bee."""

    about = SimpleNamespace(task="single_label", classes=("ant", "bee"))

    def answers(self, pixels: np.ndarray) -> SimpleNamespace:
        bright = pixels[:, :, 10].mean(axis=(1, 2)) > 100
        return SimpleNamespace(probabilities=np.stack([bright, ~bright], axis=1).astype(np.float32))


def test_what_turns_the_answer_is_named() -> None:
    pixels = np.zeros((20, 20, 1), np.uint8)
    pixels[:, 10] = 200
    found = one_image.steadiness(Column(), pixels)  # type: ignore[arg-type]
    assert set(found.others) >= {("shifted right by -1 px", "bee"), ("shifted right by +1 px", "bee")}
    assert not any("down" in name or "brightness" in name for name, _ in found.others)


def test_file_is_said_as_it_was_read(classifier: Classifier) -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((10, 30), np.uint8)).save(out, "JPEG", exif=exif)
    said = one_image.read_as(classifier, out.getvalue())
    assert said == "read as JPEG L, 30 x 10 px, turned upright; given as rgb, 16 x 16 px (stretch)"


def explained(label: str, **more: object) -> Explanation:
    said = Prediction(name="x.png", label=label, top=((label, 0.6), ("bee", 0.5)), is_ordinary=True)
    fields = {"prediction": said, "of": label, "heat": None, "nearest": (), "size": (8, 8)} | more
    return Explanation(**fields)  # type: ignore[arg-type]


def test_label_of_the_manifest_is_beside_the_answer(tmp_path: Path) -> None:
    rows = pd.DataFrame({"path": ["a/1.png"], "label": ["ant"], "split": [None], "sha256": ["5" * 64]})
    known = one_image.known(rows, "5" * 64)
    assert known == Known(path="a/1.png", label="ant", split="")
    assert one_image.known(rows, "6" * 64) is None
    said = one_image.lines(explained("bee"), read="read", steady=STEADY, is_known=known, confused=None)
    assert said[-1] == "labelled 'ant' set aside (a/1.png), and 'bee' is answered"
    assert "the answer is close: 'bee' and 'bee'" in said


@pytest.mark.parametrize(
    ("explanation", "steady", "known", "step"),
    [
        (
            explained("ant", nearest=(Neighbour(label="ant", sha256="0" * 64, likeness=1.0),)),
            STEADY,
            Known(path="b/1.png", label="bee", split="train"),
            "look at its label",
        ),
        (explained("ant"), Steadiness(n_changes=8, others=(("x", "bee"),)), None, "stronger augmentation"),
        (explained("ant"), STEADY, None, "`assay explain x.png --out heat.png`"),
    ],
)
def test_next_step_follows_what_was_seen(
    explanation: Explanation, steady: Steadiness, known: Known | None, step: str
) -> None:
    assert step in one_image.next_step(explanation, steady, known)


def test_explanation_of_a_real_file_has_all_lines(classifier: Classifier) -> None:
    out = io.BytesIO()
    Image.fromarray(tiny.pixels(1)[0]).save(out, "PNG")
    found = explain.explain(classifier, out.getvalue(), name="x.png", top=3)
    steady = one_image.steadiness(classifier, classifier.pixels(out.getvalue()))
    said = one_image.lines(
        found, read=one_image.read_as(classifier, out.getvalue()), steady=steady, is_known=None, confused=(3, 40)
    )
    assert any(line.startswith("of 40 test images of ") for line in said)
    assert said[-1].startswith("its label is not known")
