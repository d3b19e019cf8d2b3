"""Whether the pipeline leaves the bytes that it left before: `make same-bytes`.

`python -m benchmarks.same_bytes [FILE]` compares the outputs of dvc.lock with those of the last commit, or of FILE, a
dvc.lock kept from another run: before and after a change that must change no output, or here and on another machine.
Exit code 1: some differ.
"""

import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

LOCK = Path("dvc.lock")
CPUINFO = Path("/proc/cpuinfo")


def outputs(lock: dict[str, Any]) -> dict[str, str]:
    """Return the MD5 of each output by its path, in the order of the stages."""
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage.get("outs", [])}


def processor() -> str:
    """Return the name of this machine's processor, and which of the wide instructions it has."""
    if not CPUINFO.exists():
        return f"{platform.system()} {platform.machine()}"
    facts = dict(line.split(":", 1) for line in CPUINFO.read_text().partition("\n\n")[0].splitlines() if ":" in line)
    known = {key.strip(): value.strip() for key, value in facts.items()}
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if flag in known.get("flags", "").split()]
    return (
        f"{known.get('vendor_id', '')} {known.get('model name', platform.machine())} ({', '.join(wide) or 'no AVX2'})"
    )


def main() -> None:
    before = Path(sys.argv[1]).read_text() if sys.argv[1:] else committed()
    old, new = outputs(yaml.safe_load(before)), outputs(yaml.safe_load(LOCK.read_text()))
    other = [path for path in new if old.get(path) != new[path]] + [path for path in old if path not in new]
    print(f"{len(new) - len(other)} of {len(new)} outputs as before, on {processor()}")
    print(*(f"  other bytes: {path}" for path in other), sep="\n", end="\n" * bool(other))
    sys.exit(bool(other))


def committed() -> str:
    return subprocess.run(["git", "show", f"HEAD:{LOCK}"], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
