"""The options that say how a table is to be read, of each command that takes a source."""

from collections.abc import Callable, Mapping
from typing import Any

import click

OF_TABLES = (
    click.option("--path", metavar="COLUMN", help="The table's column of paths, if not `path`."),
    click.option("--label", metavar="COLUMN", help="The table's column of labels, if not `label`."),
    click.option("--labels", metavar="COLUMN", help="Multi-label: the column of lists, or of text with a separator."),
    click.option("--separator", metavar="TEXT", help="What stands between the labels of --labels: ';' or ', ' or ..."),
    click.option("--label-columns", metavar="A,B,...", help="Multi-label: the columns of 0 and 1, one per class."),
    click.option("--group", metavar="COLUMN", help="The table's column of groups, if not `group`."),
    click.option("--split", metavar="COLUMN", help="The table's column of splits, if not `split`."),
)


def of_tables(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OF_TABLES):
        command = option(command)
    return command


def given(options: Mapping[str, str | None]) -> dict[str, str]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}
