"""``sitin rehearsal``: hold meetings on this machine. Included by the main command."""

import asyncio
import json
import shlex
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sitin.kit import logging
from sitin.kit.errors import OperatorError

# The rehearsal's media libraries take a second to load, which no other command should wait for;
# they are imported where they are used.
if TYPE_CHECKING:
    from sitin.rehearsal import RehearsalServer, Script

app = typer.Typer(
    name="rehearsal",
    help="Hold meetings on this machine that behave like the platforms'.",
    no_args_is_help=True,
)


@app.callback()
def rehearsal() -> None:
    """Hold meetings on this machine that behave like the platforms'."""


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
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 0,
    truth: Annotated[
        Path | None, typer.Option(help="Directory for the ground truth of each meeting.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Hold meetings until interrupted, and print what a bot's browser needs to find them.

    Without a script or recordings, three synthetic speakers talk for about 40 seconds.
    """
    logging.configure(level="WARNING")
    try:
        asyncio.run(_serve(script or [], speech, port, truth, as_json=as_json))
    except OperatorError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from error


async def _serve(
    paths: list[Path], speech: Path | None, port: int, truth: Path | None, *, as_json: bool
) -> None:
    from sitin.rehearsal import RehearsalServer

    server = RehearsalServer(await _scripts(paths, speech), port=port, truth_directory=truth)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with server:
        with tempfile.TemporaryDirectory(prefix="sitin-rehearsal-") as directory:
            certificate = Path(directory) / "certificate.pem"
            certificate.write_text(server.certificate)
            typer.echo(_settings(server, certificate, as_json=as_json))
            await stopped.wait()


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
