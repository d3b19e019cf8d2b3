"""The classifier that answers now, and the look for a newer one. A request keeps the one that it began with."""

import hashlib
import logging
from pathlib import Path

import numpy as np

from assay.errors import AssayError
from assay.inference import exported
from assay.inference.classifier import Classifier
from assay.inference.model import BATCH_IMAGES

LOG = logging.getLogger("assay.serve")


class Current:
    """`model`: an export folder or a version; `champion` is followed, and so is a folder that is written anew."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.is_folder = Path(model).is_dir() or "/" in model
        self._seen = self._state()
        self.classifier = self._load()
        self.is_ready = False
        self.reloads, self.failures = 0, 0

    def warm(self) -> None:
        """Answer one image and a batch, so that no user waits for what a session does first."""
        _warm(self.classifier)
        self.is_ready = True

    def look(self) -> bool:
        """Load, warm and use the classifier if another one is there; say whether it is. A bad one changes nothing."""
        try:
            state = self._state()
            if state == self._seen:
                return False
            newer = self._load()
            _warm(newer)
        except (AssayError, OSError) as error:
            self.failures += 1
            LOG.error("%s; %s goes on answering", error, self.classifier.version)
            return False
        self._seen = state
        changed = newer.sha256 != self.classifier.sha256
        self.classifier = newer
        self.reloads += changed
        return changed

    def _load(self) -> Classifier:
        return Classifier.load(self.model) if self.is_folder else Classifier.load(version=self.model)

    def _state(self) -> str:
        """Return what changes when there is another classifier to be had."""
        if self.is_folder:
            try:
                return hashlib.sha256((Path(self.model) / exported.ABOUT).read_bytes()).hexdigest()
            except OSError as error:
                raise AssayError(f"{error.filename}: {error.strerror}") from None
        from assay.versions import tagged

        return tagged.champion()[1] if self.model == tagged.CHAMPION else self.model


def _warm(classifier: Classifier) -> None:
    p = classifier.about.preprocessing
    shape = p.height_px, p.width_px, 1 if p.colour == "grey" else 3
    for n_images in (1, BATCH_IMAGES):
        classifier.answers(np.zeros((n_images, *shape), np.uint8), maps=True)
