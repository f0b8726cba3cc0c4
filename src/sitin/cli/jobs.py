"""``sitin job``: jobs that need the operator. Included by the main command."""

import typer

from sitin.cli.console import AsJson, show, with_installation
from sitin.cli.installation import Installation

app = typer.Typer(help="Jobs.", no_args_is_help=True)


@app.callback()
def jobs() -> None:
    """Jobs."""


@app.command()
def requeue(as_json: AsJson = False) -> None:
    """Run the jobs again that were held because they failed too often in a row."""
    from sitin.jobs.queue import PostgresJobs

    async def make(install: Installation) -> dict[str, int]:
        async with install.database.transaction() as session:
            return {"requeued": await PostgresJobs().requeue_held(session)}

    show(with_installation(make), as_json=as_json)
