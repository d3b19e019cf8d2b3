"""`assay serve-flows`: the flows of prefect.yaml, run when they are due."""

import click

from assay.commands import flow_module


@click.command("serve-flows")
def serve_flows() -> None:
    """Run the flows of prefect.yaml when they are due, until ended. Needs a server: `prefect server start`."""
    flow_module.become("server.serve")
