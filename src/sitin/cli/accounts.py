"""``sitin team``, ``sitin key`` and ``sitin tokens``: who may use this service, and how much.

Included by the main command.
"""

from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import typer

from sitin.accounts import service
from sitin.accounts.errors import plain
from sitin.accounts.ledger import Ledger
from sitin.accounts.models import ApiKey, Permission, Team, TokenAccount
from sitin.accounts.plans import UNLIMITED
from sitin.cli.changes import CommandChange, with_change
from sitin.cli.console import AsJson, TeamId, show, show_all, with_installation
from sitin.cli.installation import Installation
from sitin.kit.clock import iso

team = typer.Typer(help="Teams and their plans.", no_args_is_help=True)
key = typer.Typer(help="API keys.", no_args_is_help=True)
tokens = typer.Typer(help="Tokens of teams.", no_args_is_help=True)

PlanName = Annotated[str, typer.Option("--plan", help="The name of the team's plan.")]


@team.command("create")
def team_create(
    name: Annotated[str, typer.Option(help="The team's name.")],
    plan: PlanName = UNLIMITED,
    token_amount: Annotated[
        float, typer.Option("--tokens", help="Tokens to begin with.", min=0)
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Make a team with a key of full access."""

    async def make(install: Installation, change: CommandChange) -> dict[str, Any]:
        install.plans.of(plan)
        session = change.session
        made = await service.create_team(session, name=name, plan=plan)
        if token_amount:
            ledger = Ledger(install.clock)
            await ledger.grant(session, made.id, _exact(token_amount), note="at creation")
        first = await service.create_key(
            session, team_id=made.id, permission=Permission.FULL_ACCESS
        )
        change.team_id = made.id
        change.object_ids += [made.id, first.id]
        return {"team_id": str(made.id), "api_key": first.text}

    show(with_change("team create", make), as_json=as_json)


@team.command("list")
def team_list(as_json: AsJson = False) -> None:
    """Show every team with its plan and tokens."""

    async def make(install: Installation) -> list[dict[str, Any]]:
        async with install.database.transaction() as session:
            return [_team(one, account) for one, account in await service.teams(session)]

    columns = ("team_id", "name", "plan", "available", "reserved", "consumed", "created_at")
    show_all(with_installation(make), columns, as_json=as_json)


@team.command("update")
def team_update(
    team_id: TeamId,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    plan: Annotated[str | None, typer.Option(help="Another plan.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change a team's name or plan; a new plan holds from the next request."""

    async def make(install: Installation, change: CommandChange) -> dict[str, Any]:
        if plan is not None:
            install.plans.of(plan)
        changed = await service.require_team(change.session, team_id)
        if name is not None:
            service.check_name(name)
            changed.name = name
        changed.plan = plan or changed.plan
        account = await Ledger(install.clock).lock(change.session, team_id)
        return _team(changed, account)

    show(with_change("team update", make, team_id=team_id, object_ids=[team_id]), as_json=as_json)


@key.command("create")
def key_create(
    team_id: TeamId,
    permission: Annotated[Permission, typer.Option(help="What the key may do.")],
    as_json: AsJson = False,
) -> None:
    """Make a further key of a team; it is shown once."""

    async def make(_: Installation, change: CommandChange) -> dict[str, Any]:
        made = await service.create_key(change.session, team_id=team_id, permission=permission)
        change.object_ids.append(made.id)
        return {"key_id": str(made.id), "api_key": made.text}

    show(with_change("key create", make, team_id=team_id), as_json=as_json)


@key.command("list")
def key_list(team_id: TeamId, as_json: AsJson = False) -> None:
    """Show a team's keys: what each may do and when it was used, never the key itself."""

    async def make(install: Installation) -> list[dict[str, Any]]:
        async with install.database.transaction() as session:
            await service.require_team(session, team_id)
            return [_key(one) for one in await service.keys_of(session, team_id)]

    columns = ("key_id", "permission", "created_at", "last_used_at", "revoked_at")
    show_all(with_installation(make), columns, as_json=as_json)


@key.command("revoke")
def key_revoke(
    key_id: Annotated[UUID, typer.Argument(help="The key's id.")], as_json: AsJson = False
) -> None:
    """Let a key open nothing any more."""

    async def make(install: Installation, change: CommandChange) -> dict[str, Any]:
        revoked = await service.revoke_key(change.session, key_id, now=install.clock.now())
        change.team_id = revoked.team_id
        return _key(revoked)

    show(with_change("key revoke", make, object_ids=[key_id]), as_json=as_json)


@tokens.command("grant")
def tokens_grant(
    team_id: TeamId,
    amount: Annotated[float, typer.Option(help="How many; one is an hour of recording.")],
    note: Annotated[str | None, typer.Option(help="Why, for the ledger.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give a team tokens."""
    if not amount > 0:
        raise typer.BadParameter("must be more than 0", param_hint="--amount")

    async def make(install: Installation, change: CommandChange) -> dict[str, Any]:
        ledger = Ledger(install.clock)
        account = await ledger.grant(change.session, team_id, _exact(amount), note=note)
        return _account(account)

    show(with_change("tokens grant", make, team_id=team_id, object_ids=[team_id]), as_json=as_json)


@tokens.command("ledger")
def tokens_ledger(
    team_id: TeamId,
    limit: Annotated[int, typer.Option(help="Lines at most.", min=1)] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the newest lines of a team's ledger: grants, and what each bot held and used."""

    async def make(install: Installation) -> list[dict[str, Any]]:
        async with install.database.transaction() as session:
            await service.require_team(session, team_id)
            lines = await Ledger(install.clock).entries(session, team_id, limit=limit)
        return [
            {
                "at": iso(line.at),
                "kind": line.kind.value,
                "amount": plain(line.amount),
                "bot_id": None if line.bot_id is None else str(line.bot_id),
                "parts": line.parts,
                "note": line.note,
            }
            for line in lines
        ]

    columns = ("at", "kind", "amount", "bot_id", "parts", "note")
    show_all(with_installation(make), columns, as_json=as_json)


def _exact(amount: float) -> Decimal:
    return Decimal(repr(amount))


def _account(account: TokenAccount) -> dict[str, Any]:
    return {
        "granted": plain(account.granted),
        "consumed": plain(account.consumed),
        "reserved": plain(account.reserved),
        "available": plain(account.available),
    }


def _team(team: Team, account: TokenAccount) -> dict[str, Any]:
    return {
        "team_id": str(team.id),
        "name": team.name,
        "plan": team.plan,
        **_account(account),
        "created_at": iso(team.created_at),
    }


def _key(one: ApiKey) -> dict[str, Any]:
    return {
        "key_id": str(one.id),
        "permission": str(one.permission),
        "created_at": iso(one.created_at),
        "last_used_at": None if one.last_used_at is None else iso(one.last_used_at),
        "revoked_at": None if one.revoked_at is None else iso(one.revoked_at),
    }
