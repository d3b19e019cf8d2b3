"""`assay history`: what was released, and what was in use when."""

import json

import click

from assay import params


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def history(as_json: bool) -> None:
    """Say which versions were released and which was the champion when: who, why, of which data, with which verdict.

    It comes from the tags alone, which every clone has after `git fetch --tags`.
    """
    from dataclasses import asdict

    from assay.versions import history

    events, paths = history.read(), params.load().paths
    candidates = history.candidates(events, paths.candidate)
    if as_json:
        rows = [
            asdict(each) | {"candidate": None if each.is_promotion else candidates[each.version]} for each in events
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for line in history.lines(events, candidates) or ["nothing was released yet"]:
        click.echo(line)
    if behind := history.behind(events, paths.champions):
        click.echo(behind)
    if found := history.champions(events):
        click.echo(f"the champion is {found[-1]}; `assay rollback` goes to {found[-2] if len(found) > 1 else 'none'}")
