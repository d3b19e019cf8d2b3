"""What changed between two commits, as one self-contained HTML file with the pictures of new errors."""

import pandas as pd

from assay import pages, params
from assay.dataset import batches
from assay.dataset.originals import Originals
from assay.errors import AssayError
from assay.images import decode, thumbnail
from assay.versions import at_commit
from assay.versions.changes import Changes
from assay.versions.model_change import Flip

SHOWN = 60  # new errors


def build(found: Changes, p: params.Params) -> str:
    """Return the page; the picture of an image whose batch does not lie here is left out."""
    flips = found.model.flips[:SHOWN] if found.model else ()
    rows = at_commit.manifest(found.new, p.paths) if flips else None
    raw = Originals(p.paths.raw, decode.reading(p.ingest))
    changed = [each for each in (*found.parameters, *found.metrics) if each.old != each.new]
    return pages.render(
        "versions/changes.html",
        found=found,
        tone=tone(found),
        accuracies=found.accuracies(),
        changed=changed[:SHOWN],
        n_changed=len(changed),
        flips=[(flip, _picture(flip, rows, raw)) for flip in flips],
        n_flips=len(found.model.flips) if found.model else 0,
    )


def tone(found: Changes) -> str:
    """Return the colour of the page's head: none for a change that may be luck, whichever way the points go."""
    if not found.is_open:
        return "bad"
    against = found.model.against if found.model else None
    verdict = against.model_verdict.partition(" ")[0] if against else ""
    return {"better": "good", "worse": "bad"}.get(verdict, "")


def _picture(flip: Flip, rows: pd.DataFrame | None, raw: Originals) -> str:
    """Return the `data:` URI of the original image, empty where it cannot be read."""
    if rows is None or flip.sha256 not in rows.index:
        return ""
    row = rows.loc[flip.sha256]
    try:
        with (raw.folder / row["batch"]).open("rb") as tar:
            content = batches.read_image(tar, offset=int(row["offset"]), size=int(row["bytes"]), sha256=flip.sha256)
        return thumbnail.small(decode.to_rgb(decode.decode(content, raw.reading)))
    except (OSError, AssayError, decode.Undecodable):
        return ""
