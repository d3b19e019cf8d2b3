"""The gate: what validation found, judged; and the pass that later stages ask for (assay/passes.py).

The pass holds the manifest's hash, the images of it that are set aside, and the last day on which all waivers hold, if
there are any. It holds no limit and no day on which it was written, so that the same verdict is the same bytes; each
stage that asks for it looks at the day on which it runs itself.
"""

import datetime
from collections.abc import Iterable
from typing import Any

from assay.errors import AssayError, GateClosed
from assay.words import counted, percent

NAMED = 3  # rows of a rule whose failure may follow from that of another


def judge(results: dict[str, Any], manifest_sha256: str, day: datetime.date) -> dict[str, Any]:
    """Return the pass for this manifest, or raise `GateClosed` that names every failed critical expectation.

    `results` is what `validate` left in results.json. A waiver that has run out closes the gate, needed or not.
    """
    if results["manifest"] != manifest_sha256:
        raise AssayError("the validation report is of another manifest; run `dvc repro validate` first")
    closed = [r for r in results["expectations"] if r["severity"] == "critical" and not r["success"]]
    over = _run_out(results["waivers"], day)
    aside = results["quarantine"]
    if closed or over or aside["share"] > aside["limit"]:
        counts = {"critical expectation": len(closed), "waiver": len(over)}
        because = " and ".join(counted(n, what) for what, n in counts.items() if n) or "images that cannot be used"
        message = "\n".join([f"closed by {because}", *_causes(closed), *_aside(results), *over])
        raise GateClosed(message, todo=next_step(results))
    passed = {"gate": "open", "manifest": manifest_sha256, "set_aside": results["quarantine"]["paths"]}
    until = min((waiver["until"] for waiver in results["waivers"]), default=None)
    return passed | ({"until": until} if until else {})


def next_step(results: dict[str, Any]) -> str:
    """Return what to do about a closed gate: where most labels are unknown, the suites are of other images."""
    of_labels = [r for r in results["expectations"] if r["table"] == "labels" and r["column"] == "label"]
    if any(2 * r["n_failed"] > r["n_rows"] and r["severity"] == "critical" for r in of_labels if not r["success"]):
        return (
            "expectations/ was made for other classes; `assay init SOURCE` sets the project up for these images, "
            "`assay expectations suggest --overwrite` writes the suites alone"
        )
    return (
        "look at the page in reports/validation, mend or remove the images, or change the limit in expectations/; "
        "then `dvc repro`"
    )


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
    head = f"{images} set aside, {_allowed(found)}"
    return "\n".join([head, *(r["message"] for r in results["expectations"] if r["quarantine"] and r["n_failed"])])


def images_set_aside(results: dict[str, Any]) -> list[str]:
    """Return the images that `set_aside` tells of, by rule."""
    found = [name for r in results["expectations"] if r["quarantine"] for name in r["failures"]]
    return list(dict.fromkeys(found))


def weaker_lines(weak: Iterable[dict[str, Any]]) -> list[str]:
    """Return a line each for what disarms the gate and for what only asks for less than the shipped rules.

    `weak` is that of results.json, or what weaker.py found; where nothing is weaker there is no line.
    """
    heads: dict[str, list[str]] = {"disarmed": [], "weaker than shipped": []}
    for each in weak:
        head = "disarmed" if each["disarms"] else "weaker than shipped"
        heads[head].append(f"{each['expectation']} ({each['why']})")
    return [f"{head}: {'; '.join(said)}" for head, said in heads.items() if said]


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
    share = percent(found["n_images"] / results["n_images"])
    return [
        f"quarantine: {found['n_images']:,} of {results['n_images']:,} images ({share}) would have"
        f" to be set aside, {_allowed(found)}"
    ]


def _allowed(found: dict[str, Any]) -> str:
    most = f"at most {percent(found['limit'])} may be (params.yaml: gate.max_quarantined_share)"
    more = f" beside the {found['n_allowed']:,} that a rule allows (expectations/: allowed)"
    return most + (more if found["n_allowed"] else "")
