"""``sitin webhook``: a team's endpoints, what was sent to them, and sending it again.

A secret is shown where it is made and nowhere else. What receivers answered is not trusted: it is
shown escaped.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from sitin.accounts.service import require_team
from sitin.cli.changes import CommandChange, with_change
from sitin.cli.console import (
    AsJson,
    TeamId,
    print_json,
    show,
    with_installation,
)
from sitin.cli.installation import Installation, address_check
from sitin.cli.settings import duration
from sitin.kit.clock import iso
from sitin.kit.errors import OperatorError
from sitin.notifications import log as message_log
from sitin.notifications.endpoints import (
    OVERLAP,
    Changes,
    Listed,
    change_endpoint,
    create_endpoint,
    delete_endpoint,
    list_endpoints,
    rotate_secret,
    team_of,
)
from sitin.notifications.log import LoggedDelivery, LoggedMessage
from sitin.notifications.models import Attempt, DeliveryState
from sitin.notifications.service import resend

_LONGEST_OVERLAP = timedelta(days=30)

app = typer.Typer(help="Webhook endpoints, and what was sent to them.", no_args_is_help=True)

WebhookId = Annotated[UUID, typer.Argument(metavar="ID", help="The endpoint's id.")]
MessageId = Annotated[UUID, typer.Argument(metavar="MESSAGE_ID", help="The message's id.")]


@app.command()
def create(
    team_id: TeamId,
    url: Annotated[str, typer.Option(help="Where the events are sent.")],
    event: Annotated[
        list[str] | None, typer.Option(help="An event it wants; all without this option.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Its name; its host without one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a webhook endpoint; the secret verifies its signatures."""

    async def make(install: Installation, change: CommandChange) -> dict[str, str]:
        _check(install, url)
        await require_team(change.session, team_id)
        made = await create_endpoint(
            change.session,
            install.keyring,
            team_id=team_id,
            url=url,
            events=event or [],
            name=name,
        )
        change.object_ids.append(made.id)
        return {"webhook_id": str(made.id), "secret": made.secret}

    show(with_change("webhook create", make, team_id=team_id), as_json=as_json)


@app.command("list")
def list_(team_id: TeamId, as_json: AsJson = False) -> None:
    """Show a team's endpoints."""

    async def find(install: Installation) -> Sequence[Listed]:
        async with install.database.transaction() as session:
            await require_team(session, team_id)
            return await list_endpoints(session, team_id, now=install.clock.now())

    found = with_installation(find)
    if as_json:
        print_json([_endpoint(one) for one in found])
        return
    for one in found:
        typer.echo(f"{one.endpoint.id}  {one.endpoint.name}  {one.endpoint.url}")
        typer.echo(f"  {', '.join(one.endpoint.events) or 'all events'}; {_health(one)}")


@app.command()
def update(
    webhook_id: WebhookId,
    url: Annotated[str | None, typer.Option(help="Where the events are sent.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name.")] = None,
    event: Annotated[
        list[str] | None, typer.Option(help="An event it wants; the others it gets no more.")
    ] = None,
    all_events: Annotated[bool, typer.Option("--all-events", help="It wants all.")] = False,
    enable: Annotated[
        bool | None,
        typer.Option("--enable/--disable", help="A disabled one gets nothing; what waits goes."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change an endpoint."""
    if event and all_events:
        raise OperatorError("--event and --all-events exclude each other: give one of them.")
    events = [] if all_events else event or None
    changes = Changes(url=url, name=name, events=events, enabled=enable)
    if changes == Changes():
        raise OperatorError(
            "There is nothing to change: give --url, --name, --event, --all-events, --enable or "
            "--disable."
        )

    async def make(install: Installation, change: CommandChange) -> dict[str, str]:
        if url is not None:
            _check(install, url)
        change.team_id = await team_of(change.session, webhook_id)
        await change_endpoint(change.session, webhook_id, changes)
        return {"webhook_id": str(webhook_id)}

    show(with_change("webhook update", make, object_ids=[webhook_id]), as_json=as_json)


@app.command()
def rotate(
    webhook_id: WebhookId,
    overlap: Annotated[
        str, typer.Option(help="How long the old secret signs too, like 90s, 30m, 24h; 0 for none.")
    ] = f"{OVERLAP // timedelta(hours=1)}h",
    as_json: AsJson = False,
) -> None:
    """Give an endpoint a new secret; meanwhile messages carry a signature of each."""
    length = _overlap(overlap)

    async def make(install: Installation, change: CommandChange) -> dict[str, str]:
        now = install.clock.now()
        change.team_id = await team_of(change.session, webhook_id)
        secret = await rotate_secret(
            change.session, install.keyring, webhook_id, overlap=length, now=now
        )
        return {
            "webhook_id": str(webhook_id),
            "secret": secret,
            "overlap_until": iso(now + length),
        }

    show(with_change("webhook rotate", make, object_ids=[webhook_id]), as_json=as_json)


@app.command()
def delete(webhook_id: WebhookId, as_json: AsJson = False) -> None:
    """Disable an endpoint for good and forget its secrets; the log of its messages stays."""

    async def remove(install: Installation, change: CommandChange) -> dict[str, str]:
        change.team_id = await team_of(change.session, webhook_id)
        await delete_endpoint(change.session, webhook_id, now=install.clock.now())
        return {"webhook_id": str(webhook_id)}

    show(with_change("webhook delete", remove, object_ids=[webhook_id]), as_json=as_json)


@app.command()
def messages(
    team_id: TeamId,
    event: Annotated[str | None, typer.Option(help="Those of this event.")] = None,
    bot: Annotated[UUID | None, typer.Option(help="Those about this bot.")] = None,
    state: Annotated[
        DeliveryState | None, typer.Option(help="Those with a delivery in this state.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """Show a team's messages, newest first."""

    async def find(install: Installation) -> list[LoggedMessage]:
        async with install.database.transaction() as session:
            await require_team(session, team_id)
            return await message_log.messages(
                session, team_id, event=event, bot_id=bot, state=state, limit=limit
            )

    found = with_installation(find)
    if as_json:
        print_json([_message(one) for one in found])
        return
    for one in found:
        bot_id = one.message.bot_id or "-"
        created = iso(one.message.created_at)
        typer.echo(f"{one.message.id}  {created}  {one.message.event}  {bot_id}")
        for place in _places(one):
            typer.echo(f"  {_line(place)}")


@app.command()
def attempts(message_id: MessageId, as_json: AsJson = False) -> None:
    """Show every attempt to deliver a message."""

    async def find(install: Installation) -> LoggedMessage:
        async with install.database.transaction() as session:
            return await message_log.message(session, message_id)

    found = with_installation(find)
    if as_json:
        print_json(
            {
                "message_id": str(found.message.id),
                "event": found.message.event,
                "deliveries": [_delivery(one) for one in found.deliveries],
            }
        )
        return
    for one in found.deliveries:
        typer.echo(_line([one]))
        for attempt in one.attempts:
            typer.echo(f"  {_attempt_line(attempt)}")


@app.command("resend")
def resend_(
    message_id: MessageId,
    webhook: Annotated[
        UUID | None, typer.Option(help="To this endpoint; to all that had it without this option.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send a message again under its id, with fresh links."""

    async def again(install: Installation, change: CommandChange) -> dict[str, Any]:
        resent = await resend(
            change.session, message_id=message_id, endpoint_id=webhook, at=install.clock.now()
        )
        change.team_id = resent.team_id
        change.object_ids += resent.to
        return {
            "message_id": str(message_id),
            "webhook_ids": [str(one) for one in resent.to],
            "disabled": [str(one) for one in resent.disabled],
        }

    result = with_change("webhook resend", again, object_ids=[message_id])
    if as_json:
        print_json(result)
        return
    for webhook_id in result["webhook_ids"]:
        typer.echo(f"sent again to {webhook_id}")
    for webhook_id in result["disabled"]:
        typer.echo(f"not to {webhook_id}, which is disabled")


def _check(install: Installation, url: str) -> None:
    if refused := address_check(install.outgoing)(url, ("http", "https")):
        raise OperatorError(f"--url: {refused}")


def _overlap(text: str) -> timedelta:
    try:
        length = duration(text)
    except ValueError as error:
        raise OperatorError(f"--overlap {error}.") from None
    assert isinstance(length, timedelta)
    if length > _LONGEST_OVERLAP:
        raise OperatorError(f"--overlap must be {_LONGEST_OVERLAP.days} days at most.")
    return length


def _endpoint(one: Listed) -> dict[str, Any]:
    endpoint = one.endpoint
    return {
        "webhook_id": str(endpoint.id),
        "name": endpoint.name,
        "url": endpoint.url,
        "events": endpoint.events,
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": _time(endpoint.failing_since),
        "overlap_until": _time(one.overlap_until),
        "created_at": iso(endpoint.created_at),
    }


def _health(one: Listed) -> str:
    endpoint = one.endpoint
    if not endpoint.enabled:
        told = f"disabled: {endpoint.disabled_reason or 'by hand.'}"
    elif endpoint.failing_since is not None:
        told = f"enabled, without a success since {iso(endpoint.failing_since)}"
    else:
        told = "enabled"
    if one.overlap_until is not None:
        told += f"; an old secret signs until {iso(one.overlap_until)}"
    return told


def _places(one: LoggedMessage) -> list[list[LoggedDelivery]]:
    """The deliveries by endpoint, oldest first; each callback is a place of its own."""
    places: dict[UUID, list[LoggedDelivery]] = {}
    for delivery in one.deliveries:
        key = delivery.delivery.endpoint_id or delivery.delivery.id
        places.setdefault(key, []).append(delivery)
    return list(places.values())


def _message(one: LoggedMessage) -> dict[str, Any]:
    return {
        "message_id": str(one.message.id),
        "event": one.message.event,
        "bot_id": _text(one.message.bot_id),
        "created_at": iso(one.message.created_at),
        "erased": one.message.erased_at is not None,
        "endpoints": [_place(place) for place in _places(one)],
    }


def _place(deliveries: Sequence[LoggedDelivery]) -> dict[str, Any]:
    """Where a message went: the state of its last delivery there, the attempts of all."""
    last = deliveries[-1]
    waits = last.delivery.state == DeliveryState.PENDING
    return {
        "kind": last.delivery.kind,
        "webhook_id": _text(last.delivery.endpoint_id),
        "url": last.url,
        "state": last.delivery.state,
        "failure": last.delivery.failure,
        "attempts": sum(one.delivery.attempts for one in deliveries),
        "next_attempt_at": iso(last.delivery.due_at) if waits else None,
    }


def _delivery(one: LoggedDelivery) -> dict[str, Any]:
    return _place([one]) | {
        "attempts": [
            {
                "at": iso(attempt.at),
                "duration_ms": round(attempt.duration * 1000),
                "status": attempt.status,
                "error": attempt.error,
                "answer": attempt.answer,
            }
            for attempt in one.attempts
        ]
    }


def _line(deliveries: Sequence[LoggedDelivery]) -> str:
    place = _place(deliveries)
    told = f"{place['state']}, {place['attempts']} attempts"
    if place["next_attempt_at"]:
        told += f", next at {place['next_attempt_at']}"
    if place["failure"]:
        told += f": {place['failure']}"
    return f"{place['webhook_id'] or 'callback'}  {place['url']}  {told}"


def _attempt_line(attempt: Attempt) -> str:
    told = [iso(attempt.at), f"{attempt.duration * 1000:.0f} ms", str(attempt.status or "-")]
    told += [repr(text) for text in (attempt.error, attempt.answer) if text]
    return "  ".join(told)


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
