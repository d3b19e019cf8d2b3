"""The log of predictions: what was said, when and by which version. No name of a file, and no image unless asked."""

import hashlib
import json
import logging
import threading
from datetime import UTC, datetime
from pathlib import Path

from assay import files
from assay.inference.model import Prediction

KEPT_DAYS = 30
LOG = logging.getLogger("assay.serve")


class Log:
    """One file of JSON lines a day."""

    def __init__(self, folder: Path | None, images: Path | None) -> None:
        self._folder, self._images, self._lock = folder, images, threading.Lock()
        self._is_failing = False

    def add(self, version: str, content: bytes, prediction: Prediction) -> None:
        """Note a prediction, and keep the image if there is a folder for it; an image that cannot be read is none.

        A disk that is full costs the note and not the answer; that is said once.
        """
        if prediction.problem:
            return
        try:
            self._note(version, content, prediction)
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                LOG.error("predictions are not noted: %s: %s", error.filename, error.strerror)
            self._is_failing = True

    def _note(self, version: str, content: bytes, prediction: Prediction) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        if self._images is not None and not (self._images / sha256).exists():
            with files.replacing(self._images / sha256) as out:
                out.write(content)
        if self._folder is None:
            return
        now = datetime.now(UTC)
        said = {
            "time": now.isoformat(timespec="seconds"),
            "version": version,
            "sha256": sha256,
            "predicted": prediction.label,
            "probability": prediction.probability,
            "ordinary": prediction.is_ordinary,
        }
        with self._lock:
            file = self._folder / f"{now:%Y-%m-%d}.jsonl"
            if not file.exists():
                self._begin(file)
            with file.open("a") as out:
                out.write(json.dumps(said) + "\n")

    def _begin(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        for old in sorted(file.parent.glob("*.jsonl"))[:-KEPT_DAYS]:
            old.unlink()
