"""Which faults are found, by name: `python -m benchmarks.faults.run [OPTIONS] SET...`; SET: elpv, folder:PATH, ...

Each variant of inject.py goes through the real `snapshot`, `ingest` and `validate`, with the suites of this repository,
and, where a Python is given that has it, through CleanVision. README.md explains what this prints.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from assay.ingestion import hamming, near_duplicates, turns
from assay.ingestion.measure import HASH_PX, measure
from benchmarks.faults import inject, pictures
from benchmarks.faults.checkout import Said, checkout, measured, validated
from benchmarks.faults.score import Hit, Score, false_alarms, scores

ALARMS = ("critical", "warning", "set aside", "quarantined")
NOT_FOR_PEER = ("label_", "class_", "group_", "batch_", "shortcut_", "missing_file")  # it sees no table
LIMITS = 10  # draws whose limits of near-duplicates are looked at
BEYOND = 10  # bits of 64: what one draw's hashes miss another's find
HEAD = "| fault | n | caught | bar | by | also named | CleanVision | also named |\n|---|---|---|---|---|---|---|---|"


def ours(said: Said) -> set[Hit]:
    """Return what critical rules and warnings name; a rule that fails as a whole names its suite."""
    lines = {
        Hit(line.rule, line.name, line.mentions, line.severity == "critical")
        for line in said.lines
        if line.severity in ALARMS
    }
    whole = {Hit(rule, f"({suite})") for (suite, rule), severity in said.failed.items() if severity in ALARMS}
    return lines | whole | ({Hit("refused by ingest", "", said.error)} if said.error else set())


def peers(python: str, images: Path) -> set[Hit] | None:
    """Return what CleanVision says, of an image in a set of duplicates with the others; None: it raised."""
    script = Path(__file__).with_name("peer.py")
    done = subprocess.run([python, script, str(images)], capture_output=True, text=True)
    if done.returncode:
        return None
    found: dict[str, list[Any]] = json.loads(done.stdout)
    named = {Hit(issue, path) for issue, paths in found.items() for path in paths if isinstance(path, str)}
    sets = [(issue, set_) for issue, sets in found.items() for set_ in sets if isinstance(set_, list)]
    return named | {Hit(issue, path, " ".join(set_)) for issue, set_ in sets for path in set_}


def new(hits: set[Hit], before: set[Hit]) -> set[Hit]:
    """Return what was not said before, of the sound images."""
    known = {(hit.rule, hit.name) for hit in before}
    return {hit for hit in hits if (hit.rule, hit.name) not in known}


def shown(by: Counter[str]) -> str:
    return ", ".join(f"{rule} {n}" for rule, n in sorted(by.items(), key=lambda each: (-each[1], each[0]))[:3])


class Bench:
    """One set in a scratch folder: `images/` and `checkout/`."""

    def __init__(self, folder: Path, set_: list[pictures.Picture], k: int, python: str | None) -> None:
        self.folder, self.set, self.k, self.python = folder, set_, k, python
        self.makers = inject.variants(set_)
        self.clean = self.makers["clean"](set_, "clean", k)
        checkout(folder / "checkout", [each.label for each in set_])
        self.before = ours(validated(folder / "checkout", self.clean))
        self.peers_before = (peers(python, folder / "images") if python else None) or set()
        self.n_missed = 0

    def rows(self, name: str) -> Iterator[str]:
        """Yield the lines of the table for a variant: one for each fault in it, or for the control that it is."""
        variant = self.makers[name](self.set, name, self.k)
        hits = new(ours(validated(self.folder / "checkout", variant)), self.before)
        asked = self.python and not name.startswith(NOT_FOR_PEER)
        theirs = peers(self.python, self.folder / "images") if asked and self.python else set()
        seen = new(theirs or set(), self.peers_before)
        peer_scores = {score.fault: score for score in scores(variant.truth, seen)}
        others, peer_others = (shown(false_alarms(variant, self.clean, of)) for of in (hits, seen))
        for score in scores(variant.truth, hits) or [Score(name)]:
            self.n_missed += not score.is_met
            peer = "crash" if theirs is None else _cell(peer_scores.get(score.fault)) if asked else ""
            bar = ("" if score.bar is None else f"{score.bar:.0%}") + ("" if score.is_met else " **missed**")
            cells = [score.fault, str(score.n), str(score.caught), bar, shown(score.by), others, peer, peer_others]
            yield f"| {' | '.join(cells)} |"


def _cell(score: Score | None) -> str:
    return f"{score.caught}: {shown(score.by)}".removesuffix(": ") if score else ""


def once(every: Sequence[pictures.Picture], n_images: int) -> list[pictures.Picture]:
    """Return the pictures without those of which a warning would be true: they show what another does.

    Another of the same group and label may be alike. How alike two may be differs between draws, so the widest limit
    of some draws counts, and they are looked for `BEYOND` the radius of a draw.
    """
    content = [measure(each.content).thumbnail or b"" for each in every]
    thumbnails = np.stack([np.frombuffer(each, np.uint8).reshape(HASH_PX, HASH_PX) for each in content])
    place = {each.path: number for number, each in enumerate(every)}
    draws = [thumbnails[[place[each.path] for each in pictures.redraw(every, n_images, n)]] for n in range(LIMITS)]
    look, limit = near_duplicates.look(draws[0]), max(near_duplicates.calibrate(draw, 0) for draw in draws)
    upright = near_duplicates.candidates(thumbnails, replace(look, radius=look.radius + BEYOND))
    in_turns = _in_turns(thumbnails)
    pairs = np.concatenate(
        [
            upright[near_duplicates.distance(thumbnails, upright) <= limit],
            in_turns[turns.closest(thumbnails, in_turns)[0] <= limit / turns.STRICTER],
        ]
    )
    twice = {j for i, j in pairs.tolist() if (every[i].group, every[i].label) != (every[j].group, every[j].label)}
    return [each for number, each in enumerate(every) if number not in twice]


def _in_turns(thumbnails: np.ndarray) -> np.ndarray:
    """Return the pairs [P, 2] of which one may be the other, mirrored or turned."""
    look = turns.look(thumbnails)
    return hamming.pairs(turns.codes(thumbnails, np.arange(len(thumbnails)), look), look.radius + BEYOND // 2)


def redraws(name: str, n_images: int, seeds: Sequence[int]) -> Iterator[str]:
    """Yield what is said of sound draws of a set, by rule: in how many draws, of how many images, of which most often.

    Each image is measured once, for what is measured of one does not depend on the others; all else is done anew.
    """
    draws, images = Counter[str](), Counter[tuple[str, str]]()
    every = once(pictures.draw(name, sys.maxsize), n_images)
    yield f"{len(every):,} images that show what none of another group or label shows\n"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        checkout(folder / "checkout", [each.label for each in every])
        inject.write(folder, inject.Variant(inject.sound(every)))
        memo = measured(folder / "checkout", folder / "images/table.csv")
        shutil.copytree(memo, folder / "memo")
        (folder / "images").rename(folder / "kept")
        for seed in seeds:
            shutil.rmtree(memo)  # which forgets what is not in a draw
            shutil.copytree(folder / "memo", memo)
            set_ = pictures.redraw(every, n_images, seed)
            said = validated(folder / "checkout", inject.variants(set_)["batch_clean"](set_, "batch_clean", 0))
            failed = {f"{severity}: {rule}" for (_, rule), severity in said.failed.items() if severity in ALARMS}
            draws.update(failed | ({said.error} if said.error else set()))
            lines = [line for line in said.lines if line.severity in ALARMS]
            images.update((f"{line.severity}: {line.rule}", line.name) for line in lines)
    n = len(seeds)
    yield "| said of sound images | draws | images | most often |\n|---|---|---|---|"
    for rule in sorted({*draws, *(rule for rule, _ in images)}):
        named = Counter({name: times for (of, name), times in images.items() if of == rule})
        yield f"| {rule} | {draws[rule]} of {n} | {named.total():,} of {n * n_images:,} | {shown(named)} |"


@click.command()
@click.argument("sets", nargs=-1, required=True)
@click.option("--images", default=1000, help="So many of each set, at most.")
@click.option("--each", "k", default=10, help="So many images with each fault.")
@click.option("--share", type=click.FloatRange(0, 1), help="So large a share of the images, in place of --each.")
@click.option("--only", multiple=True, help="This variant and no other; may be given again.")
@click.option("--cleanvision", metavar="PYTHON", help="A Python that has CleanVision.")
@click.option("--redraws", "n_redraws", default=0, help="Draw so many times, put no fault in, count what is said.")
@click.option("--first", default=1, help="The seed of the first of these draws; the next has the next.")
def main(
    sets: tuple[str, ...],
    images: int,
    k: int,
    share: float | None,
    only: tuple[str, ...],
    cleanvision: str | None,
    n_redraws: int,
    first: int,
) -> None:
    """Print a table for each SET; exit 1 if a bar is missed."""
    n_missed = 0
    for name in sets:
        if n_redraws:
            print(f"\n{name}\n", *redraws(name, images, range(first, first + n_redraws)), sep="\n", flush=True)
            continue
        set_ = pictures.draw(name, images)
        labels = sorted(Counter(each.label for each in set_).items())
        print(f"\n{name}: {len(set_):,} images, {', '.join(f'{n} {label}' for label, n in labels)}\n\n{HEAD}")
        with tempfile.TemporaryDirectory() as scratch:
            n_faulty = k if share is None else round(share * len(set_))
            bench = Bench(Path(scratch), set_, n_faulty, cleanvision)
            said = [shown(Counter(hit.rule for hit in of)) for of in (bench.before, bench.peers_before)]
            print(f"| clean | 0 | | | | {said[0]} | | {said[1]} |", flush=True)
            for variant in only or [each for each in bench.makers if each != "clean"]:
                print(*bench.rows(variant), sep="\n", flush=True)
        n_missed += bench.n_missed
    sys.exit(1 if n_missed else 0)


if __name__ == "__main__":
    main()
