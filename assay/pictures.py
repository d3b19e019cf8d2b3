"""Pictures for an alert: `python -m assay.pictures FILE PATH...` shows images of the manifest side by side."""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

from assay import batch, image, manifest, params

SIDE_PX, GAP_PX, COLUMNS = 128, 4, 5


def sheet(images: list[Image.Image]) -> Image.Image:
    """Return the RGB images as thumbnails, numbered from 1, at most COLUMNS in a row."""
    columns, rows = min(len(images), COLUMNS), -(-len(images) // COLUMNS)
    step = SIDE_PX + GAP_PX
    shown = Image.new("RGB", (columns * step + GAP_PX, rows * step + GAP_PX), "white")
    draw = ImageDraw.Draw(shown)
    for number, each in enumerate(images):
        corner = GAP_PX + number % COLUMNS * step, GAP_PX + number // COLUMNS * step
        scale = SIDE_PX / max(each.size)
        small = each.resize((max(1, round(each.width * scale)), max(1, round(each.height * scale))))
        shown.paste(small, corner)
        draw.rectangle((corner, (corner[0] + 14, corner[1] + 12)), fill="white")
        draw.text((corner[0] + 2, corner[1]), str(number + 1), fill="black")
    return shown


def read(names: list[str], p: params.Params) -> list[Image.Image]:
    """Return those of the named images that can be decoded, in the order of the names."""
    rows = manifest.read(p.paths.manifest).set_index("path")
    found = []
    for name in names:
        if name in rows.index and bool(rows.loc[name, "decodable"]):
            row = rows.loc[name]
            with (p.paths.raw / row["batch"]).open("rb") as tar:
                content = batch.read_image(tar, offset=row["offset"], size=row["bytes"], sha256=row["sha256"])
            found.append(image.to_rgb(image.decode(content)))
    return found


def main() -> None:
    file, *names = sys.argv[1:]
    if images := read(names, params.load()):
        sheet(images).save(Path(file))


if __name__ == "__main__":
    main()
