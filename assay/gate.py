"""The gate: what validation found, judged; and the pass that later stages ask for.

The pass holds the manifest's hash, the images of it that are set aside, and the last day on which all waivers hold, if
there are any. It holds no limit and no day on which it was written, so that the same verdict is the same bytes; each
stage that asks for it looks at the day on which it runs itself.
"""

import datetime
from pathlib import Path
from typing import Any

from assay import files
from assay.errors import AssayError, GateClosed

NAMED = 3  # rows of a rule whose failure may follow from that of another


def judge(results: dict[str, Any], manifest_sha256: str, day: datetime.date) -> dict[str, Any]:
    """Return the pass for this manifest, or raise `GateClosed` that names every failed critical expectation.

    `results` is what `validate` left in results.json. A waiver that has run out closes the gate, needed or not.
    """
    if results["manifest"] != manifest_sha256:
        raise AssayError("the validation report is of another manifest; run `dvc repro validate` first")
    closed = [r for r in results["expectations"] if r["severity"] == "critical" and not r["success"]]
    over = _run_out(results["waivers"], day)
    if closed or over:
        counts = {"critical expectation": len(closed), "waiver": len(over)}
        because = " and ".join(f"{n} {what}{'s' * (n != 1)}" for what, n in counts.items() if n)
        raise GateClosed("\n".join([f"closed by {because}", *_causes(closed), *_aside(results), *over]))
    passed = {"gate": "open", "manifest": manifest_sha256, "set_aside": results["quarantine"]["paths"]}
    until = min((waiver["until"] for waiver in results["waivers"]), default=None)
    return passed | ({"until": until} if until else {})


def _causes(closed: list[dict[str, Any]]) -> list[str]:
    """Return the messages of the rules that failed, and in one line for each cause those that may follow from it."""
    follow: dict[str, list[str]] = {}
    for r in closed:
        names = ", ".join(map(repr, r["failures"][:NAMED])) + ", ..." * (len(r["failures"]) > NAMED)
        follow.setdefault(r["because"], []).append(r["expectation"] + (f" ({names})" if names else ""))
    first = [r["message"] for r in closed if not r["because"]]
    return first + [f"may follow from {cause!r}: {', '.join(said)}" for cause, said in follow.items() if cause]


def set_aside(results: dict[str, Any]) -> str:
    """Return what to tell people of the images that are set aside though the gate is open; empty if there are none."""
    found = results["quarantine"]
    if not found["n_images"]:
        return ""
    images = f"{found['n_images']:,} of {results['n_images']:,} images are" if found["n_images"] > 1 else "1 image is"
    head = f"{images} set aside, at most {_percent(found['limit'])} may be (params.yaml: gate.max_quarantined_share)"
    return "\n".join([head, *(r["message"] for r in results["expectations"] if r["quarantine"] and r["n_failed"])])


def images_set_aside(results: dict[str, Any]) -> list[str]:
    """Return the images that `set_aside` tells of, by rule."""
    found = [name for r in results["expectations"] if r["quarantine"] for name in r["failures"]]
    return list(dict.fromkeys(found))


def check_passed(passed: Path) -> None:
    """Raise `AssayError` if the gate is closed now, whichever manifest it let pass before."""
    if not passed.exists():
        raise AssayError(f"{passed} is missing: the gate is closed or was not asked; run `dvc repro gate`")
    until = files.read_json(passed).get("until")
    if until and today() > datetime.date.fromisoformat(until):
        raise GateClosed(
            f"the gate let the data pass until {until}, when a waiver ended; see expectations/waivers.yaml"
        )


def check_open(passed: Path, manifest: Path) -> frozenset[str]:
    """Return the paths of the images that are set aside.

    Raises `AssayError` unless the gate let exactly this manifest pass.
    """
    check_passed(passed)
    content = files.read_json(passed)
    if content["manifest"] != files.sha256(manifest):
        raise AssayError(f"{passed} is for another {manifest}; run `dvc repro gate`")
    return frozenset(content["set_aside"])


def check_verified(verified: Path, index: Path) -> None:
    """Raise `AssayError` unless `verify` found the shards of exactly this index to be what they should be."""
    if not verified.exists() or files.read_json(verified)["index"] != files.sha256(index):
        raise AssayError(f"{verified} is missing or for other records; run `dvc repro verify`")


def _run_out(waivers: list[dict[str, Any]], day: datetime.date) -> list[str]:
    """Return what is wrong with the waivers whose last day has passed."""
    return [
        f"waiver of {w['expectation']!r} ran out on {w['until']}; mend the data, or renew it ({w['where']})"
        for w in waivers
        if day > datetime.date.fromisoformat(w["until"])
    ]


def _aside(results: dict[str, Any]) -> list[str]:
    """Return what is set aside, for that may be why something else is missing, or why so many are not."""
    found = results["quarantine"]
    if found["share"] <= found["limit"]:
        return [said] if (said := set_aside(results)) else []
    return [
        f"quarantine: {found['n_images']:,} of {results['n_images']:,} images ({_percent(found['share'])}) would have"
        f" to be set aside, at most {_percent(found['limit'])} may be (params.yaml: gate.max_quarantined_share)"
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"


def today() -> datetime.date:
    """Return the day in UTC, by the clock of this machine."""
    return datetime.datetime.now(datetime.UTC).date()
