"""The cells that ELPV holds twice: `python -m benchmarks.elpv [PICTURE]`; needs `pip install elpv-dataset` (90 MB).

ELPV is 2,624 photos of solar cells by electroluminescence, each with the probability of a defect. Cells 1735 to 1784
were photographed again as 2277 to 2326, out of focus, which its authors do not say. The package goes through the real
`snapshot`, `ingest` and `validate`; what these find is counted against that. PICTURE: write a few of the pairs there.

Sergiu Deitsch et al., "Segmentation of photovoltaic module cells in uncalibrated electroluminescence images" (2021);
licence of images and labels CC BY-NC-SA 4.0.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from benchmarks.faults import checkout
from benchmarks.faults.pictures import elpv_folder, elpv_labels

FIRST, LAST, LATER = 1735, 1784, 542  # cells of the first photo; and how much later the second is in the listing
SIDE_PX, GAP_PX, LINE_PX = 170, 8, 24


def main(picture: Path | None) -> None:
    cells = elpv_labels()
    cells["label"] = np.where(cells["probability"] >= 0.5, "defective", "sound")
    said, pairs = found(cells)
    probability = cells.set_index("path")["probability"]
    twins = [(name(cell), name(cell + LATER)) for cell in range(FIRST, LAST + 1)]
    known = {frozenset(pair) for pair in pairs[["path", "partner"]].itertuples(index=False)}
    seen = [pair for pair in twins if frozenset(pair) in known]
    others = len(pairs) - len(seen)
    print(f"{len(seen)} of the {len(twins)} cells that were photographed twice, and {others} other pairs")
    differ = [pair for pair in twins if probability[pair[0]] != probability[pair[1]]]
    print(f"probabilities differ: {sum(pair in seen for pair in differ)} found of {len(differ)}")
    labels = cells.set_index("path")["label"]
    conflicts = [pair for pair in twins if labels[pair[0]] != labels[pair[1]]]
    named = {frozenset((line.name, *line.mentions.split())) for line in said.lines if "label" in line.rule}
    hits = sum(any(set(pair) <= names for names in named) for pair in conflicts)
    print(f"two labels, cut at 0.5: {hits} named by validation of {len(conflicts)}")
    print(
        *(f"  {a} {probability[a]:.2f} {labels[a]}, {b} {probability[b]:.2f} {labels[b]}" for a, b in conflicts),
        sep="\n",
    )
    if picture:
        draw(picture, [*conflicts, *[pair for pair in differ if pair not in conflicts][:2]], probability)
        print(f"{picture}: {picture.stat().st_size:,} bytes")


def name(cell: int) -> str:
    return f"images/cell{cell:04}.png"


def found(cells: pd.DataFrame) -> tuple[checkout.Said, pd.DataFrame]:
    """Return what validation says of the cells, and the pairs of near-duplicates."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "checkout"
        checkout.checkout(folder, cells["label"])
        shutil.copytree(elpv_folder() / "images", Path(scratch) / "images/images")
        cells[["path", "label"]].to_csv(Path(scratch) / "images/table.csv", index=False)
        return checkout.of_table(folder, Path(scratch) / "images/table.csv")


def draw(file: Path, pairs: list[tuple[str, str]], probability: "pd.Series[float]") -> None:
    """Write the pairs side by side, first photos above, each with its name and probability."""
    width = len(pairs) * (SIDE_PX + GAP_PX) + GAP_PX
    sheet = Image.new("L", (width, 2 * (SIDE_PX + LINE_PX) + GAP_PX), 255)
    font = ImageFont.load_default(14)
    for column, pair in enumerate(pairs):
        for row, path in enumerate(pair):
            left, top = GAP_PX + column * (SIDE_PX + GAP_PX), GAP_PX + row * (SIDE_PX + LINE_PX)
            sheet.paste(Image.open(elpv_folder() / path).resize((SIDE_PX, SIDE_PX)), (left, top))
            said = f"{Path(path).stem}: {probability[path]:.2g}"
            ImageDraw.Draw(sheet).text((left, top + SIDE_PX + 2), said, fill=0, font=font)
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(64).save(file, "PNG", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
