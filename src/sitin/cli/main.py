"""The command ``sitin``: what an operator types, and what it prints. Entry point of the package.

A command prints its result on standard output, JSON alone with ``--json``; the log and the one
sentence of a failure go to standard error, and the exit code of a failure is 1.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from sitin.cli import accounts
from sitin.cli.audit import audit
from sitin.cli.console import (
    AsJson,
    print_json,
    run,
    settings_of_command,
    settings_of_service,
)
from sitin.cli.doctor.checks import examine
from sitin.cli.jobs import app as jobs
from sitin.cli.rehearsal import app as rehearsal
from sitin.cli.secrets import app as secrets
from sitin.cli.webhooks import app as webhooks
from sitin.kit.errors import OperatorError

# Everything a service is made of takes most of a second to load, which no other command should
# wait for; so does what only the demo or the walk needs. They are imported where they are used.
if TYPE_CHECKING:
    from sitin.cli.wiring import Service

app = typer.Typer(
    help="Bots that sit in on meetings, record, transcribe and report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(accounts.team, name="team")
app.add_typer(accounts.key, name="key")
app.add_typer(accounts.tokens, name="tokens")
app.add_typer(webhooks, name="webhook")
app.add_typer(jobs, name="job")
app.add_typer(secrets, name="secrets")
app.add_typer(rehearsal, name="rehearsal")
app.command()(audit)

log = structlog.get_logger(__name__)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    drain: Annotated[
        bool, typer.Option("--drain", help="When stopped, wait for the bots that are here.")
    ] = False,
) -> None:
    """Run the API, deliveries and bots on this machine."""
    from sitin.cli.wiring import running_service

    settings = settings_of_service()
    run(_until_stopped(running_service(settings, host=host, port=port), drain=drain))


@app.command()
def worker(
    bots: Annotated[
        int | None, typer.Option(help="Bots at once; SITIN_MAX_BOTS without it.", min=0)
    ] = None,
    drain: Annotated[
        bool, typer.Option("--drain", help="When stopped, wait for the bots that are here.")
    ] = False,
) -> None:
    """Run deliveries and bots beside a `sitin serve` on the same database."""
    from sitin.cli.wiring import running_worker

    settings = settings_of_service()
    if bots is not None:
        settings = settings.model_copy(update={"max_bots": bots})
    run(_until_stopped(running_worker(settings), drain=drain))


@app.command()
def demo(
    speech: Annotated[
        Path | None,
        typer.Option(help="Recordings with a transcripts.json; synthetic voices without it."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the artifacts go.")] = Path("sitin-demo"),
    report: Annotated[
        Path | None, typer.Option("--json", help="Write the whole report to this file.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep serving until Ctrl-C.")] = False,
) -> None:
    """Hold a meeting on this machine, send a bot into it, and show what it reports."""
    from sitin.cli.demo.command import hold

    code = run(hold(settings_of_command(), speech=speech, out=out, report=report, keep=keep))
    if code:
        raise typer.Exit(code)


@app.command()
def doctor(
    meeting_url: Annotated[
        str | None, typer.Argument(help="A meeting to send a bot into, step by step.")
    ] = None,
    record: Annotated[
        float, typer.Option(help="Seconds to record in the meeting.", min=1, max=3600)
    ] = 10,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for being admitted.", min=1, max=3600)
    ] = 120,
    out: Annotated[Path, typer.Option(help="Where what the bot leaves is kept.")] = Path(
        "sitin-doctor"
    ),
    as_json: AsJson = False,
) -> None:
    """Check what this machine needs, or send a bot into a meeting and tell each step."""
    if meeting_url is not None:
        _walk(meeting_url, record=record, wait=wait, out=out, as_json=as_json)
        return
    findings = run(examine(settings_of_service()))
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        for finding in findings:
            typer.echo(finding.line())
    if not all(finding.well for finding in findings):
        raise typer.Exit(1)


def _walk(meeting_url: str, *, record: float, wait: float, out: Path, as_json: bool) -> None:
    from sitin.cli.doctor.walk import planned, walk

    plan = planned(meeting_url, record=record, wait=wait, out=out)
    tell = (lambda _: None) if as_json else typer.echo
    diagnosis = run(walk(settings_of_command(), plan, tell))
    if as_json:
        print_json(diagnosis.as_json())
    else:
        typer.echo(f"Kept in {diagnosis.directory}")
    if not diagnosis.well:
        raise OperatorError(diagnosis.sentence)
    if not as_json:
        typer.echo(diagnosis.sentence)


def main() -> None:
    """Run the command line; the outermost edge of the process."""
    try:
        app()
    except OperatorError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 - the one sentence of a failure
        sys.exit(1)
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)


async def _until_stopped(service: "AbstractAsyncContextManager[Service]", *, drain: bool) -> None:
    """Run a service until a signal comes, or until a part of it has broken down."""
    stop = asyncio.Event()
    async with _signals(stop), service as running:
        waits = [
            asyncio.create_task(stop.wait()),
            asyncio.create_task(running.running.failed.wait()),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if running.running.failed.is_set():
            raise OperatorError("A part of the service broke down; the log above tells which.")
        log.info("stopping", drain=drain)
        if drain:
            await running.supervisor.drain()


@asynccontextmanager
async def _signals(stop: asyncio.Event) -> AsyncIterator[None]:
    """SIGTERM and SIGINT ask to stop; the second one ends the process as it would anyway."""
    loop = asyncio.get_running_loop()

    def asked(number: int) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, asked, number)
    try:
        yield
    finally:
        for number in numbers:
            with contextlib.suppress(ValueError):
                loop.remove_signal_handler(number)


if __name__ == "__main__":
    main()
