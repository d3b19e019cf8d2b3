"""Pictures for an alert: `python -m assay.operations.alert_pictures FILE PATH...` shows images of the manifest."""

import sys
from pathlib import Path

from PIL import Image

from assay import params
from assay.dataset import batches, manifest
from assay.images import decode
from assay.images.thumbnail import sheet


def read(names: list[str], p: params.Params) -> list[Image.Image]:
    """Return those of the named images that can be decoded, in the order of the names."""
    rows = manifest.read(p.paths.manifest).set_index("path")
    found = []
    for name in names:
        if name in rows.index and bool(rows.loc[name, "decodable"]):
            row = rows.loc[name]
            with (p.paths.raw / row["batch"]).open("rb") as tar:
                content = batches.read_image(tar, offset=row["offset"], size=row["bytes"], sha256=row["sha256"])
            found.append(decode.to_rgb(decode.decode(content, decode.reading(p.ingest))))
    return found


def main() -> None:
    file, *names = sys.argv[1:]
    if images := read(names, params.load()):
        sheet(images).save(Path(file))


if __name__ == "__main__":
    main()
