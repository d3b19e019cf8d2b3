"""Other x86 processors on this one: `run` starts a program that believes to be on a Haswell, a Zen 3, a Zen 4."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("processor.c")


def library(folder: Path) -> Path:
    """Return processor.c as a library for LD_PRELOAD; skips the test where this machine cannot have it."""
    if not sysconfig.get_platform().startswith("linux-x86_64"):
        pytest.skip("another processor can be shown on Linux on x86-64 only")
    if not (compiler := shutil.which("gcc")):
        pytest.skip("no gcc, which another processor is shown with")
    made = folder / "processor.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", made, SOURCE], check=True)
    shown = subprocess.run(["/bin/true"], env=_environment(made, "haswell")).returncode
    if shown:
        pytest.skip(f"the kernel or the processor refuses to fault on CPUID (arch_prctl; exit code {shown})")
    return made


def run(shown: Path, processor: str, code: str, *arguments: str | Path, **environment: str) -> str:
    """Return what the Python code printed on the processor; "" is the one that is here."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    variables = _environment(shown, processor) | environment
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def _environment(shown: Path, processor: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("ONEDNN_", "TF_ENABLE_ONEDNN"))}
    return plain | ({"LD_PRELOAD": str(shown), "PROCESSOR": processor} if processor else {})
