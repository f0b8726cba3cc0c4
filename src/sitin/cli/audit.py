"""``sitin audit``: who changed what, by the API or by command. Included by the main command."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from sitin.accounts.audit import AuditFilter, entries
from sitin.accounts.models import AuditEntry
from sitin.cli.console import AsJson, print_json, with_installation
from sitin.cli.installation import Installation
from sitin.cli.settings import duration
from sitin.kit.clock import iso
from sitin.kit.errors import OperatorError

_WHEN = "A time like 2026-01-15T10:30:00Z, or how long ago, like 24h."


def audit(
    team_id: Annotated[UUID | None, typer.Option("--team", help="Changes of this team's.")] = None,
    actor: Annotated[
        str | None, typer.Option(help="By this API key's id, or this user of the machine.")
    ] = None,
    action: Annotated[
        str | None, typer.Option(help="This operation or command, as the list names it.")
    ] = None,
    object_id: Annotated[UUID | None, typer.Option("--object", help="Of this object.")] = None,
    since: Annotated[str | None, typer.Option(help=f"Not before. {_WHEN}")] = None,
    until: Annotated[str | None, typer.Option(help=f"Before. {_WHEN}")] = None,
    limit: Annotated[int, typer.Option(help="Entries at most.", min=1, max=100_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the newest changes that API keys and commands made, newest first."""

    async def find(install: Installation) -> Sequence[AuditEntry]:
        now = install.clock.now()
        which = AuditFilter(
            team_id=team_id,
            actor=actor,
            action=action,
            object_id=object_id,
            since=_moment("--since", since, now),
            until=_moment("--until", until, now),
        )
        async with install.database.transaction() as session:
            return await entries(session, which, limit=limit)

    found = [_entry(one) for one in with_installation(find)]
    if as_json:
        print_json(found)
        return
    for one in found:
        typer.echo(_line(one))


def _moment(option: str, text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        ago = duration(text)
    except ValueError:
        return _time(option, text)
    assert isinstance(ago, timedelta)
    return now - ago


def _time(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OperatorError(
            f"{option}: must be a time like 2026-01-15T10:30:00Z, or how long ago, like 24h."
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": iso(entry.at),
        "actor_kind": str(entry.actor_kind),
        "actor": entry.actor,
        "action": entry.action,
        "team_id": None if entry.team_id is None else str(entry.team_id),
        "object_ids": [str(one) for one in entry.object_ids],
        "outcome": entry.outcome,
        "client": entry.client,
        "request_id": entry.request_id,
    }


def _line(entry: dict[str, Any]) -> str:
    told = [
        entry["at"],
        entry["outcome"],
        entry["action"],
        f"by {entry['actor_kind']} {entry['actor']}",
        f"from {entry['client'] or '-'}",
    ]
    if entry["request_id"]:
        told.append(f"request {entry['request_id']}")
    if entry["object_ids"]:
        told.append(f"of {' '.join(entry['object_ids'])}")
    return "  ".join(told)
