"""`assay clean`: what nothing refers to, removed."""

import click

from assay.words import counted


@click.command()
@click.option("--dry", is_flag=True, help="Only count.")
def clean(dry: bool) -> None:
    """Remove old reports and worktrees, and from DVC's cache what no branch or tag needs."""
    from assay.versions import unused

    removed = unused.clean(dry=dry)
    would = "would remove" if dry else "removed"
    counts = f"{counted(removed.worktrees, 'worktree')}, {counted(removed.reports, 'report')}"
    click.echo(f"{would} {counts}, {counted(removed.objects, 'object')} of the cache")
