"""What the validation page shows: the images that a rule names, pairs side by side, and curves."""

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from assay.dataset import batches, manifest
from assay.dataset.originals import Originals
from assay.images import thumbnail
from assay.ingestion import measure
from assay.validation import curves, findings, page
from assay.validation.profile import approved as profile


def encoded(level: int, side_px: int = 12, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    pixels = np.random.default_rng(level).integers(0, 30, (side_px, side_px, 3)) + level
    Image.fromarray(pixels.astype(np.uint8)).save(content, kind)
    return content.getvalue()


@pytest.fixture
def images(tmp_path: Path) -> pd.DataFrame:
    """Rows of the manifest, indexed by number, for nine images in a batch; the last does not decode."""
    contents = {f"cat/{n}.png": encoded(20 * n) for n in range(7)}
    contents |= {"dog/big.jpg": encoded(90, 400, "JPEG"), "dog/<b>.png": b"none"}
    members = {path: (hashlib.sha256(content).hexdigest(), content) for path, content in contents.items()}
    (tmp_path / "raw").mkdir()
    batches.write(tmp_path / "raw/1.tar", members.values())
    offsets = batches.read_offsets(tmp_path / "raw/1.tar")
    rows = [
        vars(measure.measure(content, path))
        | {"path": path, "label": path.split("/")[0], "split": "train", "sha256": sha256}
        | {"bytes": len(content), "batch": "1.tar", "offset": offsets[sha256]}
        for path, (sha256, content) in members.items()
    ]
    table = pd.DataFrame(rows).reindex(columns=manifest.SCHEMA.names)
    table.loc[table["path"] == "cat/6.png", ["label", "split"]] = ["dog", "test"]
    return table


def rule(name: str, **others: Any) -> dict[str, Any]:
    return {"suite": "images", "expectation": name, "severity": "critical", "success": False, "n_waived": 0} | others


def failures(name: str, *rows: tuple[str, str, str]) -> pd.DataFrame:
    """Return rows of failures.csv of (path, value, partner)."""
    table = pd.DataFrame(rows, columns=["path", "value", "partner"])
    return table.assign(suite="images", expectation=name, severity="critical", status="failed", column="x", limit="y")


NO_PAIRS = pd.DataFrame({"path": [], "partner": [], "distance": []})


def test_small_image_keeps_every_pixel_and_a_large_one_is_made_small(images: pd.DataFrame, tmp_path: Path) -> None:
    shown = findings.thumbnails(images.set_index("path"), Originals(tmp_path / "raw"))
    assert len(shown) == 8
    kind, _, data = shown["cat/3.png"].partition(",")
    assert kind == "data:image/png;base64"
    original = np.asarray(Image.open(io.BytesIO(encoded(60))))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), original)
    big = Image.open(io.BytesIO(base64.b64decode(shown["dog/big.jpg"].partition(",")[2])))
    assert big.size == (thumbnail.THUMBNAIL_PX, thumbnail.THUMBNAIL_PX)


def test_image_that_does_not_decode_says_why(images: pd.DataFrame, tmp_path: Path) -> None:
    rows = failures("decodable", ("dog/<b>.png", "not an image", ""))
    (found,) = findings.findings([rule("decodable")], rows, images, NO_PAIRS, Originals(tmp_path / "raw"))
    (shot,) = found.shots
    assert (shot.path, shot.picture, shot.why) == ("dog/<b>.png", "", "not an image")


def test_pair_is_shown_once_with_distance_and_what_differs(images: pd.DataFrame, tmp_path: Path) -> None:
    rows = failures(
        "near", ("cat/1.png", "", "cat/6.png"), ("cat/6.png", "", "cat/1.png"), ("cat/2.png", "", "cat/3.png")
    )
    pairs = pd.DataFrame(
        {"path": ["cat/6.png"], "partner": ["cat/1.png"], "distance": [0.01234], "turned": ["mirrored"]}
    )
    (found,) = findings.findings([rule("near")], rows, images, pairs, Originals(tmp_path / "raw"))
    assert [(pair.left.path, pair.right.path) for pair in found.pairs] == [
        ("cat/1.png", "cat/6.png"),
        ("cat/2.png", "cat/3.png"),
    ]
    assert [pair.said for pair in found.pairs] == ["distance 0.0123, mirrored, two labels, two splits", ""]
    assert all(shot.picture for pair in found.pairs for shot in (pair.left, pair.right))


def test_equal_pixels_are_said(images: pd.DataFrame, tmp_path: Path) -> None:
    images.loc[images["path"] == "cat/2.png", "pixels"] = images.loc[images["path"] == "cat/1.png", "pixels"].item()
    rows = failures("copies", ("cat/1.png", "", "cat/2.png"))
    (found,) = findings.findings([rule("copies")], rows, images, NO_PAIRS, Originals(tmp_path / "raw"))
    assert found.pairs[0].said == "the same pixels"


def test_gravest_come_first_and_get_the_pictures(
    images: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "PICTURES", 2)
    monkeypatch.setattr(findings, "SHOWN", 2)
    of_warning = failures("odd", *((f"cat/{n}.png", "", "") for n in range(3)))
    of_critical = failures("bad", *((f"cat/{n}.png", "", "") for n in range(3, 6)))
    rules = [rule("odd", severity="warning"), rule("fine", success=True), rule("bad")]
    found = findings.findings(
        rules, pd.concat([of_warning, of_critical]), images, NO_PAIRS, Originals(tmp_path / "raw")
    )
    assert [each.rule["expectation"] for each in found] == ["bad", "odd"]
    assert [len(each.shots) for each in found] == [2, 2]
    assert [each.n_rows for each in found] == [3, 3]
    assert [bool(shot.picture) for each in found for shot in each.shots] == [True, True, False, False]
    assert found[1].shots[0].why == "not shown here"


def test_rule_about_classes_shows_rows_and_no_image(images: pd.DataFrame, tmp_path: Path) -> None:
    rows = failures("balance", ("cat", "80%", ""))
    (found,) = findings.findings([rule("balance")], rows, images, NO_PAIRS, Originals(tmp_path / "raw"))
    assert (found.shots, found.pairs) == ([], [])
    assert found.rows[0]["value"] == "80%"


def test_missing_batch_leaves_the_page_without_pictures(images: pd.DataFrame, tmp_path: Path) -> None:
    assert findings.thumbnails(images.set_index("path"), Originals(tmp_path / "nowhere")) == {}


def measured(brightness: np.ndarray) -> pd.DataFrame:
    """Return rows of the manifest that have a brightness and, but for one contrast, no other property."""
    rows = pd.DataFrame({"brightness": brightness, "contrast": 3.0, "split": "train", "label": "cat", "sha256": "a"})
    rows = rows.assign(path=[f"{n:03}.png" for n in range(len(rows))], batch="0001-a.tar", maximum=255)
    return rows.reindex(columns=manifest.SCHEMA.names)


def test_curve_of_evenly_spread_values_is_a_straight_line() -> None:
    (curve,) = curves.curves(measured(np.arange(101.0)), None)  # contrast is one value: nothing to draw
    assert (curve.name, curve.low, curve.middle, curve.high, curve.approved) == ("brightness", 0, 50, 100, "")
    points = [tuple(map(float, point.split(","))) for point in curve.now.split()]
    assert points[0] == (0, curves.HEIGHT)
    assert points[-1] == (curves.WIDTH, 0)
    assert points[12] == (curves.WIDTH / 2, curves.HEIGHT / 2)


def test_curve_of_one_value_is_a_step_at_it() -> None:
    table = pd.DataFrame({"property": [], "label": [], "auc": []})
    approved = profile.build(measured(np.full(50, 50.0)), "single_label", table, table)
    (curve,) = curves.curves(measured(np.arange(101.0)), approved)
    points = [tuple(map(float, point.split(","))) for point in curve.approved.split()]
    at = [y for x, y in points if 0 < x < curves.WIDTH]
    assert {y for x, y in points if x == 0} == {curves.HEIGHT}
    assert (at[0], at[-1]) == (curves.HEIGHT, 0)
    assert {round(x) for x, _ in points} == {0, curves.WIDTH // 2, curves.WIDTH}


def test_approved_curve_goes_through_the_approved_quantiles_on_the_same_axis() -> None:
    table = pd.DataFrame({"property": [], "label": [], "auc": []})
    approved = profile.build(measured(np.arange(100.0, 201.0)), "single_label", table, table)
    shares, quantiles = curves.of_profile(approved)["brightness"]
    assert np.allclose(np.interp(150, quantiles, shares), 0.5, atol=0.01)
    (curve,) = curves.curves(measured(np.arange(101.0)), approved)
    assert (curve.low, curve.high) == (0, 200)
    assert curve.was == pytest.approx(150, abs=1)
    points = [tuple(map(float, point.split(","))) for point in curve.approved.split()]
    assert points[-1] == (curves.WIDTH, 0)
    assert points[0] == (0, curves.HEIGHT)  # none is below
    assert points[1][0] == curves.WIDTH / 2


def test_approved_share_stands_beside_that_of_today() -> None:
    table = pd.DataFrame({"property": [], "label": [], "auc": []})
    approved = profile.build(
        measured(np.arange(4.0)).assign(label=["cat", "cat", "cat", "dog"]), "single_label", table, table
    )
    counts = pd.DataFrame({"label": ["cat", "owl"], "n_images": [1, 1], "share": 0.5, "train": 1, "val": 0, "test": 0})
    assert [row["approved"] for row in page.balance(counts, approved)] == [0.75, 0]
    assert [row["approved"] for row in page.balance(counts, None)] == [None, None]


def test_set_aside_is_counted_whole_and_listed_in_part(images: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "ASIDE", 1)
    rows = failures("upright", ("cat/1.png", "6", "")).assign(status="set aside")
    rules = [rule("upright") | {"quarantine": True}]
    assert page.aside(images, rows, rules) == {
        "n_images": 2,
        "rows": [{"path": "cat/1.png", "why": "upright: 6"}],
    }
