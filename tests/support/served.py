"""A server of a tiny classifier, and images to send it."""

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from fastapi.testclient import TestClient
from PIL import Image

from assay.inference.neighbours import Pictures
from assay.inference.serving import app
from assay.inference.serving.answered import Log
from assay.inference.serving.current import Current
from assay.inference.serving.limits import Limits

NOWHERE = Pictures(Path("-"), Path("-"))


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with a reference, and another one of other weights beside it."""
    made = tmp_path_factory.mktemp("exports")
    model, pixels = tiny.network(), tiny.pixels(40)
    tiny.write(made / "plain", model)
    tiny.write_with_reference(made / "whole", model, pixels)
    tiny.write(made / "other", tiny.network(seed=2))
    return made


def client(folder: Path, log: Log | None = None, token: str | None = None, **limits: Any) -> TestClient:
    made = app.create(
        Current(str(folder)),
        limits=Limits(**limits),
        pictures=NOWHERE,
        log=log or Log(None, None),
        token=token,
        hosts=frozenset({"testserver"}),
    )
    return TestClient(made)


def ready(asked: TestClient) -> TestClient:
    for _ in range(500):
        if asked.get("/readyz").status_code == 200:
            return asked
        time.sleep(0.01)
    raise AssertionError("never ready")


@pytest.fixture(scope="module")
def server(export: Path) -> Iterator[TestClient]:
    with client(export / "whole") as asked:
        yield ready(asked)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


IMAGE = png(tiny.pixels(1)[0])


def until(is_so: Any) -> None:
    for _ in range(1000):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it never was")
