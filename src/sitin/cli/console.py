"""How commands run and what they print: a table or sentences, JSON alone with ``--json``.

Used by the modules with commands.
"""

import asyncio
import json
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from sitin.cli.installation import Installation, installation
from sitin.cli.settings import Settings, load_settings
from sitin.kit import logging

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
TeamId = Annotated[UUID, typer.Option("--team", help="The team's id.")]


def settings_of_service() -> Settings:
    """The settings of a process that goes on running, with its log set up."""
    settings = load_settings()
    logging.configure(level=settings.log_level)
    return settings


def settings_of_command() -> Settings:
    """The same for a command, whose log speaks only of trouble."""
    settings = load_settings()
    logging.configure(level="WARNING")
    return settings


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, on the faster loop where it is there.

    Told to end by SIGTERM it is cancelled, so that it clears away what it has made. (Only a
    process's main thread is told; in another one the caller ends the work.)
    """
    try:
        import uvloop
    except ImportError:
        return asyncio.run(_cancellable(work))
    return uvloop.run(_cancellable(work))


async def _cancellable(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None
    if threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def with_installation(make: Callable[[Installation], Awaitable[T]]) -> T:
    """Run a command's work on the installation, beside a running ``serve`` or alone."""

    async def work() -> T:
        async with installation(settings_of_command()) as install:
            return await make(install)

    return run(work())


def show(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing."""
    if as_json:
        print_json(result)
    else:
        for name, value in result.items():
            typer.echo(f"{name}: {'' if value is None else value}")


def show_all(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print many things of a kind; ``columns`` are the fields that the table shows."""
    if as_json:
        print_json(list(rows))
        return
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in columns))
    Console().print(table)


def print_json(result: Any) -> None:
    """Print JSON in one line."""
    typer.echo(json.dumps(result))
