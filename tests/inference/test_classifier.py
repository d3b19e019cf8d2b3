"""The classifier, as programs use it: what goes in, what comes out, and what it costs."""

import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import ExifTags, Image

from assay import Classifier
from assay.errors import AssayError
from assay.images import decode
from assay.inference import difficult, exported

COST = """
import sys, time
from assay import Classifier
classifier = Classifier.load(sys.argv[1])
spent = time.process_time()
print(spent, *(name for name in ("tensorflow", "pandas", "sklearn", "dvc", "scipy") if name in sys.modules))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with a reference: 40 made pictures."""
    made = tmp_path_factory.mktemp("export")
    model, pixels = tiny.network(), tiny.pixels(40)
    tiny.write(made / "plain", model)
    tiny.write_with_reference(made / "whole", model, pixels)
    tiny.write(made / "sets", tiny.network(task="multi_label"), task="multi_label")
    return made


@pytest.fixture(scope="module")
def classifier(folder: Path) -> Classifier:
    return Classifier.load(folder / "whole")


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_every_way_in_gives_the_pixels_of_training(classifier: Classifier, tmp_path: Path) -> None:
    for name, content in difficult.files().items():
        (tmp_path / name).write_bytes(content)
        trained = decode.prepare(content, height_px=16, width_px=16, colour="rgb", resize="stretch")
        ways = [content, tmp_path / name, str(tmp_path / name), Image.open(io.BytesIO(content))]
        for way in ways:
            np.testing.assert_array_equal(classifier.pixels(way), trained, err_msg=f"{name} {type(way)}")


def test_decoded_images_and_arrays_are_prepared_as_files_are(classifier: Classifier) -> None:
    picture = difficult.drawn(30, 20)
    wanted = classifier.pixels(png(np.asarray(picture)))
    np.testing.assert_array_equal(classifier.pixels(picture), wanted)
    np.testing.assert_array_equal(classifier.pixels(np.asarray(picture)), wanted)
    clear = np.dstack([np.asarray(picture), np.full((20, 30), 90, np.uint8)])
    np.testing.assert_array_equal(classifier.pixels(clear), classifier.pixels(png(clear)))
    grey = np.asarray(picture.convert("L"))
    for shape in (grey, grey[..., None]):
        np.testing.assert_array_equal(classifier.pixels(shape), classifier.pixels(png(grey)))


def test_declared_white_goes_with_the_model(tmp_path: Path) -> None:
    size = {"height_px": tiny.SIDE_PX, "width_px": tiny.SIDE_PX, "colour": "rgb", "resize": "stretch"}
    tiny.write(tmp_path, tiny.network(), preprocessing=exported.Preprocessing(**size, white_level=4095))
    deep = np.random.default_rng(0).integers(0, 4096, (tiny.SIDE_PX, tiny.SIDE_PX)).astype(np.uint16)
    seen = Classifier.load(tmp_path).pixels(png(deep))
    assert np.abs(seen[..., 0] - deep / 4095 * 255).max() <= 0.5


def test_image_of_a_caller_stays_as_it_is(classifier: Classifier) -> None:
    content = difficult.files()["exif_6.jpg"]
    opened = Image.open(io.BytesIO(content))
    classifier.pixels(opened)
    opened.load()
    before = opened.copy()
    upright = classifier.pixels(np.asarray(decode.decode(content)))
    np.testing.assert_array_equal(classifier.pixels(opened), upright)
    np.testing.assert_array_equal(np.asarray(opened), np.asarray(before))
    assert opened.getexif()[ExifTags.Base.Orientation] == 6


def test_answer_is_typed_and_in_the_order_of_the_images(classifier: Classifier) -> None:
    pixels = tiny.pixels(40)
    found = classifier.predict(pixels, top=2)
    probabilities = classifier.answers(pixels).probabilities
    assert [each.name for each in found[:2]] == ["image 0", "image 1"]
    for each, row in zip(found, probabilities, strict=True):
        assert each.label == tiny.CLASSES[row.argmax()]
        assert each.probability == pytest.approx(row.max(), abs=1e-6)
        assert [name for name, _ in each.top] == [tiny.CLASSES[place] for place in np.argsort(-row)[:2]]
        assert each.probabilities is not None
        np.testing.assert_allclose(each.probabilities, row, atol=1e-6)
        assert each.problem == ""


def test_one_image_needs_no_list(classifier: Classifier) -> None:
    assert len(classifier.predict(tiny.pixels(1)[0])) == len(classifier.predict(png(tiny.pixels(1)[0]))) == 1


def test_sets_are_named_by_their_thresholds(folder: Path, tmp_path: Path) -> None:
    pixels = tiny.pixels(40)
    rows = Classifier.load(folder / "sets").answers(pixels).probabilities
    limits = tuple(np.median(rows, axis=0).tolist())
    tiny.write(tmp_path, tiny.network(task="multi_label"), task="multi_label", thresholds=limits)
    found = Classifier.load(tmp_path).predict(pixels)
    for each, row in zip(found, rows, strict=True):
        names = [name for name, p, limit in zip(tiny.CLASSES, row, limits, strict=True) if p >= limit]
        assert each.label == "|".join(names)
        assert each.probability == pytest.approx(np.maximum(row, 1 - row).min(), abs=1e-6)
    assert len({each.label for each in found}) > 3


def test_broken_image_is_an_answer_with_a_reason_and_costs_the_others_nothing(
    classifier: Classifier, tmp_path: Path
) -> None:
    (tmp_path / "empty.png").touch()
    good = png(tiny.pixels(1)[0])
    broken = [good, b"no image", tmp_path / "empty.png", tmp_path / "gone.png", tmp_path, good[:-30], good]
    found = classifier.predict(broken)
    assert [each.problem for each in found[1:5]] == [
        "not an image",
        "empty file",
        "No such file or directory",
        "Is a directory",
    ]
    assert "truncated" in found[5].problem
    assert [each.label for each in found[1:6]] == [None] * 5
    assert found[0].label == found[6].label == classifier.predict(good)[0].label


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((2, 4, 4, 3, 1), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_array_that_is_no_image_says_what_it_should_be(classifier: Classifier, array: np.ndarray) -> None:
    problem = classifier.predict([array])[0].problem
    assert "must be uint8 [H, W], [H, W, 1], [H, W, 3] or 4" in problem or problem == "an empty array"


def test_images_like_those_of_training_are_ordinary_and_others_not(classifier: Classifier, folder: Path) -> None:
    found = classifier.predict([*tiny.pixels(10), np.zeros((16, 16, 3), np.uint8)])
    assert sum(bool(each.is_ordinary) for each in found[:10]) >= 8
    assert found[10].is_ordinary is False
    assert any("dark" in reason for reason in found[10].reasons)
    assert Classifier.load(folder / "plain").predict(tiny.pixels(1))[0].is_ordinary is None


def test_sixteen_threads_get_what_one_gets(classifier: Classifier) -> None:
    items = [png(each) for each in tiny.pixels(64)]
    alone = [classifier.predict(item)[0] for item in items]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda item: classifier.predict(item)[0], items * 4))
    assert together == alone * 4


def test_folder_or_version_must_be_given(folder: Path) -> None:
    for given in ({}, {"folder": folder, "version": "champion"}):
        with pytest.raises(ValueError, match="one of folder and version"):
            Classifier.load(**given)


def test_description_with_another_number_of_classes_than_the_graph_is_refused(folder: Path, tmp_path: Path) -> None:
    tiny.copy(folder / "plain", tmp_path / "export")
    file = tmp_path / "export/model.json"
    said = json.loads(file.read_text())
    file.write_text(json.dumps(said | {"classes": [*said["classes"], "one more"]}))
    with pytest.raises(
        AssayError, match=r"model\.json: names 4 classes, and model\.onnx answers for 3: changed by hand"
    ):
        Classifier.load(file.parent)


def test_start_imports_nothing_heavy(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", COST, folder / "whole"], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:] == []


def test_unknown_names_of_the_package_are_still_errors() -> None:
    import assay

    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        assay.Nothing  # noqa: B018
