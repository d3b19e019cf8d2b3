import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from assay.commands.models import models
from assay.training import catalogue

ROOT = Path(__file__).parents[2]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.chdir(ROOT)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / catalogue.BACKBONES["VGG16"].file).write_bytes(b"")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return CliRunner().invoke(models, catch_exceptions=False).output


def test_every_network_has_its_line(printed: str) -> None:
    assert printed.startswith("from scratch: cnn, resnet, two_branch\n")
    lines = {line.split()[0]: line for line in printed.splitlines()[3:]}
    assert list(lines) == list(catalogue.BACKBONES)
    assert re.fullmatch(
        r"InceptionV3 +21,802,784 +299 \(≥75\) +Apache-2.0 +Keras' download, not here", lines["InceptionV3"]
    )


def test_weights_in_keras_cache_are_here(printed: str) -> None:
    here = [line.split()[0] for line in printed.splitlines() if line.endswith("download, here")]
    assert here == ["VGG16"]


def test_it_needs_no_tensorflow() -> None:
    without = "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
    code = without + "from assay.commands.models import models; models()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "EfficientNetLite0" in done.stdout
