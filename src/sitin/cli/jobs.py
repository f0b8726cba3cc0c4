"""``sitin job``: jobs that need the operator. Included by the main command."""

from typing import Any

import typer

from sitin.cli.changes import CommandChange, with_change
from sitin.cli.console import AsJson, show, show_all, with_installation
from sitin.cli.installation import Installation

app = typer.Typer(help="Dead-lettered jobs.", no_args_is_help=True)


@app.callback()
def jobs() -> None:
    """Dead-lettered jobs."""


@app.command("list")
def list_jobs(as_json: AsJson = False) -> None:
    """List the dead-lettered jobs: those that failed too often in a row."""
    from sitin.jobs.queue import list_dead_lettered

    async def make(install: Installation) -> list[dict[str, Any]]:
        async with install.database.transaction() as session:
            return [
                {
                    "job_id": job.id,
                    "task": job.task,
                    "key": job.key,
                    "error": job.error,
                    "created_at": job.created_at.isoformat(),
                }
                for job in await list_dead_lettered(session)
            ]

    columns = ("job_id", "task", "key", "error", "created_at")
    show_all(with_installation(make), columns, as_json=as_json)


@app.command()
def requeue(as_json: AsJson = False) -> None:
    """Run the dead-lettered jobs again."""
    from sitin.jobs.queue import requeue_dead_lettered

    async def make(_: Installation, change: CommandChange) -> dict[str, int]:
        return {"requeued": await requeue_dead_lettered(change.session)}

    show(with_change("job requeue", make), as_json=as_json)
