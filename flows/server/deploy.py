"""Gives the deployments of prefect.yaml to the workers of their work pools: `assay deploy-flows`.

`prefect deploy --all` would do so too, but makes no work pool that is missing, and knows nothing of our automations.
"""

import logging
import os
import sys
from typing import Any, cast
from uuid import UUID

import click

os.environ.setdefault("DO_NOT_TRACK", "1")  # Prefect asks for it while it is imported

from prefect import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runner.storage import LocalStorage

from assay.errors import AssayError
from flows.server import api, automations, deployments, serve

log = logging.getLogger("assay.deploy")


class Checkout(LocalStorage):
    """The clone of each worker, as the `pull` steps of prefect.yaml name it."""

    def __init__(self, steps: list[dict[str, Any]]) -> None:
        super().__init__(".")
        self.steps = steps

    def to_pull_step(self) -> Any:
        return self.steps


def check_pools(declared: list[deployments.Deployment]) -> None:
    """Raise `AssayError` for the first deployment whose work pool is not there."""
    with get_client(sync_client=True) as client:
        for each in declared:
            pool = deployments.pool(each)
            try:
                client.read_work_pool(pool)
            except ObjectNotFound:
                todo = f"`prefect work-pool create {pool} --type process`"
                raise AssayError(f"{each.name}: no work pool {pool!r}; {todo}") from None


def deploy(each: deployments.Deployment, ready: Any, steps: list[dict[str, Any]]) -> UUID:
    """Return the id of the deployment, which now waits for workers of its pool; `ready`: as it would be served."""
    ready.storage, ready.entrypoint = Checkout(steps), each.declared["entrypoint"]
    return cast(UUID, ready.apply(work_pool_name=deployments.pool(each)))


@click.command()
def main() -> None:
    """Give what prefect.yaml declares to the workers of its pools, and set the automations up."""
    try:
        serve.wait_for_server()
        declared, steps = deployments.read(), deployments.pull()
        ready = {each.name: deployments.served(each) for each in declared}
        check_pools(declared)
        known = {each.name: deploy(each, ready[each.name], steps) for each in declared}
        if automations.RETRAIN not in known:
            raise AssayError(f"{deployments.FILE}: declares no {automations.RETRAIN}")
        automations.set_up(known[automations.RETRAIN])
        for name in api.left(known):
            log.warning("%s: %s; `%s`", name, api.LEFT, api.removal(name))
    except AssayError as error:
        sys.exit(str(error))
    for name in known:
        click.echo(name)


if __name__ == "__main__":
    main()
