"""Is a release what it was, and does this machine answer as the one that made it? From its tag to its answers."""

import hashlib
from dataclasses import dataclass

from assay.errors import AssayError
from assay.inference import canary, exported
from assay.inference.classifier import Classifier
from assay.versions import dvc_repo, tagged
from assay.versions.tagged import Release


@dataclass(frozen=True, kw_only=True)
class Check:
    passed: bool
    text: str


def verify(version: str) -> tuple[Release, list[Check]]:
    """Return the release and what was checked of it; raises `AssayError` if there is no such release."""
    release = tagged.read(version)
    checks = [_file(release, "model", release.candidate["model"]["sha256"])]
    checks.append(_file(release, "manifest", release.candidate["data"]["manifest"]))
    checks += _export(release)
    return release, checks


def _file(release: Release, name: str, wanted: str) -> Check:
    path = release.paths[name]
    content = dvc_repo.read_bytes(path, release.commit)
    if content is None:
        return Check(passed=False, text=f"{path}: neither in DVC's cache nor in a remote")
    seen = hashlib.sha256(content).hexdigest()
    words = "as released" if seen == wanted else f"is {seen[:12]}, released was {wanted[:12]}"
    return Check(passed=seen == wanted, text=f"{path}: {words}")


def _export(release: Release) -> list[Check]:
    try:
        place = tagged.export(release.version)
        found = exported.read(place.folder, place.sha256)
        outcome = canary.sing(Classifier(found), found.contents)
    except AssayError as error:
        return [Check(passed=False, text=str(error))]
    same = found.about.model == release.candidate["model"]["sha256"]
    return [
        Check(passed=True, text=f"{release.paths['export']}: {len(found.contents)} files as released"),
        Check(passed=same, text=f"the export is {'' if same else 'not '}that of the released model"),
        Check(passed=outcome.is_same, text=outcome.text),
    ]
