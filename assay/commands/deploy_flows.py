"""`assay deploy-flows`: the flows of prefect.yaml, given to their work pools."""

import click

from assay.commands import flow_module


@click.command("deploy-flows")
def deploy_flows() -> None:
    """Give the flows of prefect.yaml to the workers of their work pools. Needs a server, and the pools."""
    flow_module.become("server.deploy")
