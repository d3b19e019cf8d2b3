"""Explanations: where the heat lies, which train images are near, and what is said of a picture that has neither."""

import io
from pathlib import Path

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from PIL import Image

from assay import Classifier
from assay.commands.main import cli
from assay.inference import difficult, explain, exported
from assay.inference.explain import Explanation
from assay.inference.model import Prediction

ORDINARY = Prediction(name="x", label="ant", probability=0.9, top=(("ant", 0.9),), is_ordinary=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("export")
    model, pixels = tiny.network(), tiny.pixels(40)
    tiny.write(made / "plain", model)
    tiny.write_with_reference(made / "whole", model, pixels)
    tiny.write(made / "flat", tiny.network(pooled=False))
    for resize in ("pad", "crop"):
        size = exported.Preprocessing(height_px=16, width_px=16, colour="rgb", resize=resize)
        tiny.write(made / resize, model, preprocessing=size)
    return made


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.mark.slow
def test_train_image_is_its_own_nearest(folder: Path) -> None:
    found = explain.explain(Classifier.load(folder / "whole"), png(tiny.pixels(40)[7]), name="x", top=2)
    assert found.nearest[0].sha256 == f"{7:064x}"
    assert found.nearest[0].likeness == pytest.approx(1, abs=1e-3)
    assert found.nearest[0].label == tiny.CLASSES[7 % 3]
    assert len(found.prediction.top) == 2


def test_answer_is_that_of_predict(folder: Path) -> None:
    classifier = Classifier.load(folder / "whole")
    for content in difficult.files().values():
        said = explain.explain(classifier, content, name="image 0", top=3).prediction
        plain = classifier.predict(content)[0]
        assert (said.label, said.is_ordinary, said.top) == (plain.label, plain.is_ordinary, plain.top)


def test_heat_is_the_positive_part_of_the_map_with_its_most_as_one(folder: Path) -> None:
    classifier = Classifier.load(folder / "plain")
    content = png(tiny.pixels(1)[0])
    found = explain.explain(classifier, content, name="x", top=1)
    maps = classifier.answers(classifier.pixels(content)[None], maps=True).maps
    assert maps is not None and found.heat is not None
    of = maps[0, ..., tiny.CLASSES.index(found.of)].clip(0)
    np.testing.assert_allclose(found.heat, of / of.max(), atol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_that_of_the_upright_image(orientation: int) -> None:
    content = difficult.files()[f"exif_{orientation}.jpg"]
    assert explain.upright_size(content) == ((96, 72) if orientation < 5 else (72, 96))


def laid(folder: Path, resize: str, size: tuple[int, int], heat: np.ndarray) -> np.ndarray:
    """The opacity [H, W] of the heat map of an image of this size, width before height."""
    found = Explanation(prediction=ORDINARY, of="ant", heat=heat, nearest=(), size=size)
    shown = explain.picture(Classifier.load(folder / resize), found, side_px=64)
    assert shown is not None
    return np.asarray(shown.getchannel("A"))


def test_heat_lies_where_the_network_saw_it_whatever_the_shape(folder: Path) -> None:
    left, all_over = np.zeros((8, 8)), np.ones((8, 8))
    left[:, :4] = 1
    stretched = laid(folder, "plain", (200, 100), left)
    assert stretched.shape == (32, 64)
    assert (stretched[:, :24] > 100).all() and (stretched[:, 40:] == 0).all()
    padded = laid(folder, "pad", (200, 100), left)
    assert (padded[:, :24] > 100).all() and (padded[:, 40:] == 0).all()
    cropped = laid(folder, "crop", (200, 100), all_over)
    assert (cropped[:, :16] == 0).all() and (cropped[:, 48:] == 0).all() and (cropped[:, 17:47] > 100).all()


def test_heat_over_the_black_of_a_padded_picture_is_left_out(folder: Path) -> None:
    above = np.zeros((8, 8))
    above[:2] = 1  # the upper quarter of the canvas is black where the image is twice as wide as high
    assert laid(folder, "pad", (200, 100), above).max() < 100


def test_command_says_why_and_draws(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(difficult.files()["exif_6.jpg"])
    command = ["explain", str(tmp_path / "a.jpg"), "--model", str(folder / "whole"), "--out", str(tmp_path / "a.png")]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert done.output.count("likeness") == 5
    assert "like the train images" in done.output
    assert Image.open(tmp_path / "a.png").size == (240, 320)


def test_command_says_what_it_cannot_do(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "a.png").write_bytes(png(tiny.pixels(1)[0]))
    plain, flat = str(folder / "plain"), str(folder / "flat")
    done = CliRunner().invoke(cli, ["explain", str(tmp_path / "a.txt"), "--model", plain])
    assert "a.txt: not an image" in str(done.exception)
    done = CliRunner().invoke(cli, ["explain", str(tmp_path / "a.png"), "--model", plain])
    assert "no reference, so nothing tells" in done.output
    out = ["--out", str(tmp_path / "b.png")]
    done = CliRunner().invoke(cli, ["explain", str(tmp_path / "a.png"), "--model", flat, *out])
    assert "no class-activation maps" in str(done.exception)


@pytest.mark.parametrize(("name", "said"), [("b.html", "must end so, not in '.html'"), ("a.png", "that file is read")])
def test_heat_map_is_written_under_no_wrong_name_and_over_no_image(
    folder: Path, tmp_path: Path, name: str, said: str
) -> None:
    content = png(tiny.pixels(1)[0])
    (tmp_path / "a.png").write_bytes(content)
    command = ["explain", str(tmp_path / "a.png"), "--model", str(folder / "whole"), "--out", str(tmp_path / name)]
    assert said in str(CliRunner().invoke(cli, command).exception)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.png", content)]
