"""What /metrics says, for Prometheus."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from assay.inference.classifier import Classifier
from assay.inference.model import Prediction
from assay.inference.serving.current import Current
from assay.inference.serving.desk import Desk


class Measured:
    """The counts of one server."""

    def __init__(self, current: Current, desk: Desk) -> None:
        self._registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self._registry, "namespace": "assay"}
        self.requests = Counter("requests", "Requests to /predict, by the status of their answer", ["status"], **own)
        self.seconds = Histogram("request_seconds", "From the first byte of a request to its answer", **own)
        self._images = Counter("images", "Images, by what became of them", ["outcome"], **own)
        self._model = Info("model", "What answers", **own)
        Gauge("requests_taken", "Requests at work or waiting", **own).set_function(lambda: desk.taken)
        Gauge("ready", "Whether the model has been warmed", **own).set_function(lambda: current.is_ready)
        Gauge("reloads", "Newer models since the start", **own).set_function(lambda: current.reloads)
        Gauge("reload_failures", "Newer models that could not be used", **own).set_function(lambda: current.failures)

    def count(self, classifier: Classifier, predictions: list[Prediction]) -> None:
        """Count images as unreadable, unlike (the train images) or answered."""
        self._model.info({"version": classifier.version, "sha256": classifier.sha256})
        for each in predictions:
            outcome = "unreadable" if each.problem else "unlike" if each.is_ordinary is False else "answered"
            self._images.labels(outcome).inc()

    def text(self) -> bytes:
        return generate_latest(self._registry)
