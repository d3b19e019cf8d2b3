"""`assay doctor`: what stands in the way of the next retraining."""

import click

from assay.commands import flow_module


@click.command()
@click.option("--test-alerts", is_flag=True, help="Send each receiver a test message, and what it did not take.")
@click.option("--alert", is_flag=True, help="Tell the receivers what is wrong.")
def doctor(**options: bool) -> None:
    """Say what stands in the way of the next retraining, and what to do. Exit code 1: something does."""
    flow_module.become("doctor", *(f"--{name.replace('_', '-')}" for name, wanted in options.items() if wanted))
