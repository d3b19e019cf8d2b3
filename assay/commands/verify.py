"""`assay verify`: is a release what it was?"""

import click

from assay.errors import AssayError


@click.command()
@click.argument("version", default="champion")
def verify(version: str) -> None:
    """Check a released VERSION, the champion if none is named: every hash from its tag on, and its answers here.

    The canary, difficult images with the answers of the machine that made the export, is asked on this one. Exit code
    1: something is otherwise, or missing.
    """
    from assay.inference import verify

    release, checks = verify.verify(version)
    click.echo(f"{release.version}, commit {release.commit[:12]}")
    for check in checks:
        click.echo(f"  {'+' if check.passed else '-'} {check.text}")
    if not all(check.passed for check in checks):
        raise AssayError(f"verify: {release.version} is not as it was released, or not answered here as it was")
