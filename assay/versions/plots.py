"""DVC's plots of two commits as pictures, for pages that can show no Vega."""

import json
import re
from pathlib import Path

from assay import files
from assay.versions import dvc_repo

SCALE = 1.5  # pixels of the picture for each of the plot's own


def draw(folder: Path, old: str, new: str) -> list[Path]:
    """Return the PNG files that now show each plot of dvc.yaml, both commits in one picture.

    `old` and `new`: as in `compare`. Raises `AssayError` for an unknown commit.
    """
    import vl_convert  # 20 MB, wanted only where plots are drawn

    drawn = []
    for name, spec in dvc_repo.plots(old, new).items():
        file = folder / f"{re.sub(r'[^a-z0-9]+', '-', Path(name).stem.lower()).strip('-')}.png"
        with files.replacing(file) as out:
            out.write(vl_convert.vegalite_to_png(json.dumps(spec), scale=SCALE))
        drawn.append(file)
    return drawn
