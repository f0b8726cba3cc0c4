"""``sitin rehearsal``: hold meetings and calendars here. Included by the main command."""

import asyncio
import json
import shlex
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sitin.kit import logging
from sitin.kit.errors import OperatorError

# The rehearsal's media libraries take a second to load, which no other command should wait for;
# they are imported where they are used.
if TYPE_CHECKING:
    from sitin.rehearsal import RehearsalServer, Script
    from sitin.rehearsal.calendars import Account, CalendarRehearsal

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

app = typer.Typer(
    name="rehearsal",
    help="Hold meetings and calendars on this machine that behave like the platforms'.",
    no_args_is_help=True,
)


@app.callback()
def rehearsal() -> None:
    """Hold meetings and calendars on this machine that behave like the platforms'."""
    logging.configure(level="WARNING")


@app.command()
def serve(
    script: Annotated[
        list[Path] | None,
        typer.Option(help="A meeting's script (JSON); can be given several times."),
    ] = None,
    speech: Annotated[
        Path | None,
        typer.Option(help="A directory of recordings with a transcripts.json, instead of scripts."),
    ] = None,
    port: Port = 0,
    truth: Annotated[
        Path | None, typer.Option(help="Directory for the ground truth of each meeting.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold meetings until interrupted, and print what a bot's browser needs to find them.

    Without a script or recordings, three synthetic speakers talk for about 40 seconds.
    """
    try:
        asyncio.run(_serve(script or [], speech, port, truth, as_json=as_json))
    except OperatorError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from error


@app.command()
def calendars(port: Port = 0, as_json: AsJson = False) -> None:
    """Hold a Google Calendar and a Microsoft Graph until interrupted, and print what leads there.

    Each has an account with meetings in the weeks ahead, whose grant is printed as well.
    """
    try:
        asyncio.run(_calendars(port, as_json=as_json))
    except OperatorError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from error


async def _calendars(port: int, *, as_json: bool) -> None:
    from sitin.rehearsal.calendars import CalendarRehearsal
    from sitin.rehearsal.calendars.sample import furnish

    stopped = _stopped()
    async with CalendarRehearsal(port=port) as rehearsal:
        google, microsoft = furnish(rehearsal)
        typer.echo(_calendar_settings(rehearsal, google, microsoft, as_json=as_json))
        await stopped.wait()


async def _serve(
    paths: list[Path], speech: Path | None, port: int, truth: Path | None, *, as_json: bool
) -> None:
    from sitin.rehearsal import RehearsalServer

    server = RehearsalServer(await _scripts(paths, speech), port=port, truth_directory=truth)
    stopped = _stopped()
    async with server:
        with tempfile.TemporaryDirectory(prefix="sitin-rehearsal-") as directory:
            certificate = Path(directory) / "certificate.pem"
            certificate.write_text(server.certificate)
            typer.echo(_settings(server, certificate, as_json=as_json))
            await stopped.wait()


def _stopped() -> asyncio.Event:
    """Set when the process is asked to end."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


async def _scripts(paths: list[Path], speech: Path | None) -> "list[Script]":
    from sitin.rehearsal import conversation, load_script, speech_from

    if paths and speech is not None:
        raise OperatorError("give scripts or a directory of recordings, not both")
    if speech is not None:
        return [await speech_from(speech)]
    if not paths:
        return [await conversation()]
    scripts = [load_script(path) for path in paths]
    codes = [script.code for script in scripts]
    for path, code in zip(paths, codes, strict=True):
        if codes.count(code) > 1:
            raise OperatorError(f"{path}: code: two scripts have the code {code!r}")
    return scripts


def _settings(server: "RehearsalServer", certificate: Path, *, as_json: bool) -> str:
    environment = {
        "SITIN_BROWSER_HOST_RULES": server.browser_host_rules,
        "SITIN_BROWSER_ARGS": " ".join(server.browser_args),
        "SITIN_ALLOW_PRIVATE_ADDRESSES": "true",
    }
    urls = [meeting.url for meeting in server.meetings.values()]
    if as_json:
        return json.dumps(
            {
                "meetings": urls,
                "environment": environment,
                "control_url": server.control_url,
                "certificate": str(certificate),
            }
        )
    lines = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    lines += [f"# meeting: {url}" for url in urls]
    lines += [f"# control: {server.control_url}", f"# its certificate: {certificate}"]
    return "\n".join(lines)


def _calendar_settings(
    rehearsal: "CalendarRehearsal", google: "Account", microsoft: "Account", *, as_json: bool
) -> str:
    environment = dict(rehearsal.environment)
    accounts = {"google": _grant(google), "microsoft": _grant(microsoft)}
    accounts["microsoft"]["oauth_tenant_id"] = rehearsal.microsoft.tenant_id
    if as_json:
        return json.dumps(
            {
                "environment": environment,
                **accounts,
                "control_url": rehearsal.control_url,
                "page_url": rehearsal.page_url,
            }
        )
    lines = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    for platform, grant in accounts.items():
        lines += [f"# {platform} {name}: {value}" for name, value in _flat(grant)]
    lines += [f"# page: {rehearsal.page_url}", f"# control: {rehearsal.control_url}"]
    return "\n".join(lines)


def _grant(account: "Account") -> dict[str, Any]:
    """What a calendar connection is made of."""
    return {
        "email": account.email,
        "oauth_client_id": account.grant.client.id,
        "oauth_client_secret": account.grant.client.secret,
        "oauth_refresh_token": account.refresh_token,
        "calendars": [
            {"id": entry.calendar.id, "name": entry.calendar.name}
            for entry in account.entries.values()
        ],
    }


def _flat(grant: dict[str, Any]) -> list[tuple[str, str]]:
    plain = [(name, value) for name, value in grant.items() if isinstance(value, str)]
    return plain + [(f"calendar {one['name']}", one["id"]) for one in grant["calendars"]]
