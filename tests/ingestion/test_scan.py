"""Every odd image that people have sent: a row of the manifest after a real `ingest`, never a crash."""

import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from checkouts import png, run
from pictures import black
from PIL import Image

from assay import labels
from assay.dataset import manifest
from assay.images import decode
from assay.ingestion import scan
from assay.sources import opening

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


def encode(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def noise(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(NOISE).convert(mode)


def rotten(content: bytes) -> bytes:
    """Return the bytes with one bit in their middle turned over."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :]


JPEG, PNG = encode(noise(), "JPEG", quality=90), encode(noise())
DEEP = Image.fromarray((NOISE[..., 0].astype(np.uint16) << 8) + 7)
ANIMATED = encode(noise("L"), "GIF", save_all=True, append_images=[Image.new("L", (64, 64), v) for v in (9, 99)])
GOOD = {"decodable": True, "reason": ""}


def bad(reason: str, **more: Any) -> dict[str, Any]:
    return {"decodable": False, "reason": reason, "split": None, "format": None, **more}


@dataclass(frozen=True)
class Case:
    name: str  # of the file in its class folder
    content: bytes | Callable[[Path], None]  # or what makes the file
    says: dict[str, Any]  # of its row; of the reason some words are enough


CASES = {
    "zero bytes": Case("empty.png", b"", bad("empty file", bytes=0)),
    "HTML named .jpg": Case("page.jpg", b"<html>404 not found</html>", bad("not an image", named_format="JPEG")),
    "truncated JPEG": Case("half.jpg", JPEG[: len(JPEG) // 2], bad("image file is truncated")),
    "truncated PNG": Case("half.png", PNG[: len(PNG) // 2], bad("image file is truncated")),
    "only the header": Case("header.jpg", JPEG[:20], bad("")),
    "cut tail": Case("cut.jpg", JPEG[:-40], bad("image file is truncated")),
    "bit rot in a PNG": Case("rot.png", rotten(PNG), bad("")),
    "bit rot in a JPEG": Case("rot.jpg", rotten(JPEG), {"format": "JPEG", "named_format": "JPEG", "width_px": 64}),
    "wrong extension": Case("really-png.jpg", PNG, {**GOOD, "named_format": "JPEG", "format": "PNG"}),
    "no extension": Case("bare", encode(noise("L"), "BMP"), {**GOOD, "named_format": None, "format": "BMP"}),
    "decompression bomb": Case("bomb.png", black(10_000), bad("decompression bomb: 100,000,000 pixels")),
    "huge decompression bomb": Case("bigger.png", black(20_000), bad("decompression bomb")),
    "huge": Case("huge.png", black(9_000), {**GOOD, "width_px": 9000, "height_px": 9000}),
    "1 px": Case("dot.png", encode(Image.new("L", (1, 1), 77)), {**GOOD, "width_px": 1, "brightness": 77.0}),
    "CMYK": Case("ink.jpg", encode(noise("CMYK"), "JPEG"), {**GOOD, "mode": "CMYK", "channels": 4}),
    "16 bits": Case("deep.png", encode(DEEP), {**GOOD, "mode": "I;16", "bit_depth": 16}),
    "palette with transparency": Case(
        "palette.png", encode(noise("P"), transparency=3), {**GOOD, "mode": "P", "channels": 1}
    ),
    "animated": Case("moving.gif", ANIMATED, {**GOOD, "format": "GIF", "n_frames": 3}),
    "floating point": Case("float.tif", encode(Image.new("F", (8, 8), 1.5), "TIFF"), bad("floating-point pixels")),
    "unicode in the name": Case("größe 猫 🐈.png", png(90), {**GOOD, "named_format": "PNG"}),
    "newline in the name": Case("two\nlines.png", png(91), {**GOOD, "named_format": "PNG"}),
    "comma and quote in the name": Case('a, "b".png', png(92), GOOD),
    "no read permission": Case("secret.png", lambda file: lock(file), bad("cannot be read: Permission denied")),
    "symlink loop": Case("circle.png", lambda file: file.symlink_to(file.name), bad("Too many levels")),
    "symlink to nothing": Case("gone.png", lambda file: file.symlink_to("nowhere"), bad("No such file")),
    "symlink to a good image": Case("link.png", lambda file: file.symlink_to("ok.png"), GOOD),
    "named pipe": Case("pipe.png", lambda file: os.mkfifo(file), bad("cannot be read: not a regular file")),
    "not UTF-8 in the name": Case("\udcff.png", png(93), GOOD),
}


def lock(file: Path) -> None:
    file.write_bytes(png(94))
    file.chmod(0)


def fill(folder: Path) -> None:
    """Write every case into the class `ape`, beside sound images of it and of the class `bee`."""
    for number, name in enumerate(["ape", "bee"]):
        (folder / name).mkdir(parents=True)
        for seed in range(5):
            (folder / name / f"{seed}.png").write_bytes(png(100 * number + seed))
    (folder / "ape/ok.png").write_bytes(png(95))
    for case in CASES.values():
        file = folder / "ape" / case.name
        if callable(case.content):
            case.content(file)
        else:
            file.write_bytes(case.content)


def ingest(checkout: Path, source: str) -> pd.DataFrame:
    run(checkout, "assay", "snapshot", source)
    # Root may read anything, unless that right is taken away; a warm process would still have it.
    humbly = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    run(checkout, *humbly, sys.executable, "-m", "tasks.ingest")
    return manifest.read(checkout / "data/manifest.parquet")


def check(row: "pd.Series[Any]", says: dict[str, Any], case: str) -> None:
    for column, expected in says.items():
        seen = row[column]
        if expected is None:
            assert pd.isna(seen), (case, column, seen)
        elif column == "reason":
            assert expected in seen and (seen != "") == (not says["decodable"]), (case, seen)
        else:
            assert seen == expected, (case, column, seen)
    assert pd.isna(row["split"]) or row["decodable"], case
    assert row["decodable"] == pd.notna(row["pixels"]), case


@pytest.mark.slow
def test_every_odd_file_of_a_folder_is_a_row(checkout: Path, tmp_path: Path) -> None:
    fill(tmp_path / "odd")
    rows = ingest(checkout, str(tmp_path / "odd")).set_index("path")
    assert len(rows) == 11 + len(CASES)
    for name, case in CASES.items():
        path = f"ape/{case.name}".encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        check(rows.loc[path], case.says, name)
    sound = rows.loc[[f"{label}/{seed}.png" for label in ("ape", "bee") for seed in range(5)]]
    assert sound["split"].notna().all()
    assert sound["sha256"].is_unique  # ape/0.png and bee/0.png have one name and are two images


LISTED: dict[str, tuple[str, str, dict[str, Any]]] = {  # path, label, and what its row says
    "path that leaves the source": ("../outside.png", "ape", bad("not read: leaves the source")),
    "path that leaves it on a detour": ("ape/../../outside.png", "ape", bad("not read: leaves the source")),
    "absolute path": ("/etc/hostname", "ape", bad("not read: leaves the source")),
    "URL": ("file:///etc/hostname", "ape", bad("not read: leaves the source")),
    "no such file": ("ape/absent.png", "ape", bad("cannot be read: No such file")),
    "folder": ("ape", "bee", bad("cannot be read: Is a directory")),
    "label missing": ("bee/0.png", "", {**GOOD, "label": None, "split": None}),
    "label with a stray space": ("bee/1.png", " bee", {**GOOD, "label": " bee"}),
    "label in another case": ("bee/2.png", "Bee", {**GOOD, "label": "Bee"}),
}


@pytest.mark.slow
def test_every_odd_row_of_a_table_is_a_row(checkout: Path, tmp_path: Path) -> None:
    fill(tmp_path / "odd")
    (tmp_path / "outside.png").write_bytes(png(96))
    named = {name: case for name, case in CASES.items() if case.name.isprintable() or "\n" in case.name}
    listed = [(f"ape/{case.name}", "ape") for case in named.values()]
    listed += [(path, label) for path, label, _ in LISTED.values()]
    listed += [("ape/0.png", "ape"), ("bee/3.png", "bee"), ("./ape/0.png", "bee"), ("", "ape")]
    pd.DataFrame(listed, columns=["path", "label"]).to_csv(tmp_path / "odd/all.csv", index=False)
    rows = ingest(checkout, f"table:{tmp_path / 'odd/all.csv'}")
    is_listed = rows["reason"] != labels.UNLISTED
    sound = {"ape/1.png", "ape/2.png", "ape/3.png", "ape/4.png", "ape/ok.png", "bee/4.png"}
    assert set(rows.loc[~is_listed, "path"]) == {*sound, r"ape/\xff.png"}  # a CSV cannot hold the last one's name
    rows = rows[is_listed]
    assert len(rows) == len(listed)
    by_path = rows.drop_duplicates("path").set_index("path")
    for name, case in named.items():
        check(by_path.loc[f"ape/{case.name}"], case.says, name)
    for name, (path, _, says) in LISTED.items():
        check(by_path.loc[path], says, name)
    twice = rows[rows["path"] == "ape/0.png"]
    assert twice["reason"].tolist() == ["not read: listed twice, as 'ape' and 'bee'"] * 2
    assert twice["label"].tolist() == ["ape", "bee"]
    check(by_path.loc[f"(row {len(listed)})"], bad("not read: no path"), "row without a path")


def test_images_are_measured_again_when_they_are_read_in_another_way(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for name in ("ape", "bee"):
        (folder / name).mkdir(parents=True)
        Image.fromarray(np.full((20, 20), 2048, np.uint16)).save(folder / name / "deep.png")
    images = opening.open_source(f"folder:{folder}")
    ways = [decode.USUAL, decode.Reading(white_level=4095), decode.Reading(max_pixels=399), decode.USUAL]
    found = [scan.scan(images, tmp_path / "memo", each)[0].iloc[0] for each in ways]
    assert [row["maximum"] for row in found if row["decodable"]] == [8, 128, 8]
    assert found[2]["reason"] == "decompression bomb: 400 pixels, at most 399 (params.yaml: ingest.max_megapixels)"
