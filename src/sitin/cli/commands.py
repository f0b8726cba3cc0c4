"""What the commands share: options, the way to an installation, and how results are printed."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from sitin.cli.settings import Settings, load_settings
from sitin.cli.wiring import Installation, installation
from sitin.kit import logging

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
TeamId = Annotated[UUID, typer.Option("--team", help="The team's id.")]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def with_installation(make: Callable[[Installation], Awaitable[T]]) -> T:
    """What this makes of the installation."""

    async def work() -> T:
        async with installation(settings_of_command()) as install:
            return await make(install)

    return run(work())


def settings_of_command() -> Settings:
    """The settings, for a command whose log speaks only of trouble."""
    settings = load_settings()
    logging.configure(level="WARNING")
    return settings


def print_result(result: dict[str, Any], *, as_json: bool) -> None:
    """Print one result, for a program or a line per field."""
    if as_json:
        print_json(result)
    else:
        for name, value in result.items():
            typer.echo(f"{name}: {value}")


def print_json(result: Any) -> None:
    """Print JSON."""
    typer.echo(json.dumps(result))
