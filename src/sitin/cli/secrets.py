"""``sitin secrets``: what is encrypted in the database. Included by the main command."""

from typing import Any

import typer

from sitin.accounts.audit import PARTIAL
from sitin.cli.changes import CommandChange, with_change
from sitin.cli.console import AsJson, show
from sitin.cli.installation import Installation
from sitin.kit.database import Base
from sitin.kit.errors import OperatorError
from sitin.kit.sealing import Renewed, renew_secrets

app = typer.Typer(help="Secrets that are stored.", no_args_is_help=True)


@app.callback()
def secrets() -> None:
    """Secrets that are stored."""


@app.command()
def renew(as_json: AsJson = False) -> None:
    """Encrypt with the newest secret key what older ones encrypted."""
    # Every room's tables are loaded with it.
    import sitin.cli.house  # noqa: F401

    async def make(install: Installation, change: CommandChange) -> Renewed:
        # In transactions of its own, batch by batch; the entry follows when all are done.
        done = await renew_secrets(install.database, install.keyring, Base.metadata)
        if done.left or done.unreadable:
            change.outcome = PARTIAL
        return done

    done = with_change("secrets renew", make)
    unreadable = sum(done.unreadable.values())
    show(_shown(done, unreadable), as_json=as_json)
    if unreadable:
        raise OperatorError(
            f"{unreadable} secrets in {', '.join(sorted(done.unreadable))} cannot be read with the "
            "secret keys here: append the one that they were stored with, and renew again."
        )


def _shown(done: Renewed, unreadable: int) -> dict[str, Any]:
    return {
        "renewed": done.renewed,
        "left": done.left,
        "unreadable": unreadable,
        "old_keys_needed": bool(done.left or unreadable),
    }
