"""The documentation speaks of what is there, and of all of it."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from fastapi.routing import APIRoute
from pydantic_settings import BaseSettings

import sitin.cli.wiring  # noqa: F401 - everything that has errors is loaded with it
from sitin.accounts.ledger import TokenRates
from sitin.accounts.plans import DEFAULTS
from sitin.api.app import ROUTERS
from sitin.calendars.errors import EventRefusal
from sitin.cli.main import app
from sitin.contract.codes import BotStatus, EndReason
from sitin.kit.errors import SitinError
from sitin.runner.note_takers import NOTE_TAKERS

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
METRICS = {"Counter", "Gauge", "Histogram"}


def read(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text()


def anchor(heading: str) -> str:
    """As GitHub makes one of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def commands(command: Any, path: str = "sitin") -> Iterator[tuple[str, Any]]:
    """Every command by its whole name; typer's command classes are its own."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{path} {name}")
    if not hasattr(command, "commands"):
        yield path, command


def test_every_room_is_in_the_architecture() -> None:
    page = read("ARCHITECTURE.md")
    source = ROOT / "src" / "sitin"
    folders = {
        str(file.parent.relative_to(source)) + "/"
        for file in source.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    } - {"./"}
    named = set(re.findall(r"`([\w/]+/)`", page))
    assert folders - named == set(), "rooms that are missing"
    assert {name for name in named if not (source / name).is_dir()} <= {
        "tests/",
        "bench/",
        "scripts/",
        "docs/",
        "docs/adr/",
    }


def test_the_layers_are_those_that_are_held() -> None:
    drawn = read("ARCHITECTURE.md").partition("<!-- layers -->\n```\n")[2].partition("\n```")[0]
    held = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"][0]
    assert drawn.splitlines() == held["layers"]


def test_every_decision_is_linked() -> None:
    page = read("ARCHITECTURE.md")
    missing = [one.name for one in (ROOT / "docs/adr").glob("*.md") if one.name not in page]
    assert missing == []


def test_every_page_is_in_the_index() -> None:
    linked = {(ROOT / "docs" / link).resolve() for link in links(read("docs", "README.md"))}
    pages = {page for page in PAGES if "adr" not in page.parts} - {ROOT / "docs/README.md"}
    assert pages - linked == set()


def links(text: str) -> list[str]:
    found = (one or other for one, other in LINK.findall(text))
    return [link for link in found if "://" not in link and not link.startswith("mailto:")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page.read_text()):
        path, _, part = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if part:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert part in {anchor(one) for one in headings}, link


def test_every_setting_is_told_and_no_other() -> None:
    fields = {
        f"SITIN_{name.upper()}"
        for settings in BaseSettings.__subclasses__()
        if settings.__module__.startswith("sitin.")
        for name in settings.model_fields
    }
    rows = re.findall(
        r"^\|[^|]*\|", read("docs/operating.md") + read("docs/transcription.md"), re.MULTILINE
    )
    told = {name for row in rows for name in re.findall(r"SITIN_[A-Z0-9_]+", row)}
    assert fields - told == set(), "settings without a row"
    everywhere = {
        name for page in PAGES for name in re.findall(r"SITIN_[A-Z0-9_]+[A-Z0-9]", page.read_text())
    }
    assert everywhere - fields == set(), "settings that are not there"


def test_the_note_takers_are_those_of_the_default() -> None:
    page = read("docs/operating.md").replace("\n", " ")
    assert f"`{', '.join(NOTE_TAKERS)}`" in page


def test_every_plan_is_told_as_it_is() -> None:
    page = read("docs/operating.md")
    for plan in DEFAULTS:
        numbers = (
            plan.writes_per_second,
            plan.bots_per_day,
            plan.retention_days,
            plan.calendar_connections,
        )
        shown = " | ".join("no limit" if one is None else str(one) for one in numbers)
        assert f"| `{plan.name}` | {shown} |" in page
    for name, rate in TokenRates.model_fields.items():
        assert re.search(rf"`{name}`\s+\({re.escape(str(rate.default))}\)", page), name


def test_every_command_and_option_is_told() -> None:
    blocks = (read("docs/operating.md") + read("docs/webhooks.md")).split("```")[1::2]
    told = re.split(r"(?=^sitin )", "".join(blocks), flags=re.MULTILINE)
    there = dict(commands(typer.main.get_command(app)))
    assert there
    for path, command in there.items():
        lines = "".join(part for part in told if re.match(rf"{path}\b", part))
        assert lines, path
        # What --json does is said once, for all.
        options = {max(one.opts, key=len) for one in command.params} - {"--json"}
        assert {one for one in options if one.startswith("--") and one not in lines} == set(), path


def test_every_operation_is_told_and_no_other() -> None:
    there = {
        (method, route.path)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in route.methods or ()
    }
    told = set(re.findall(r"^\| `([A-Z]+) (/v2/\S+)` ", read("docs/api.md"), re.MULTILINE))
    assert told == there


def test_every_metric_is_told_and_no_other() -> None:
    told = set(re.findall(r"^\| `(sitin_\w+)", read("docs/runbook/metrics.md"), re.MULTILINE))
    assert told == set(metrics())


def metrics() -> Iterator[str]:
    """The names of all metrics that the package's modules make."""
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id=kind), args=[ast.Constant(value=str(name)), *_]) if (
                    kind in METRICS
                ):
                    yield name


def descendants(base: type[SitinError]) -> Iterator[type[SitinError]]:
    for one in base.__subclasses__():
        yield one
        yield from descendants(one)


def test_statuses_and_codes_that_pages_name_are_there() -> None:
    codes = {*EndReason, *EventRefusal, *(error.code for error in descendants(SitinError))}
    # Where an error is told beside others, it goes without the prefix.
    codes |= {code.removeprefix("FST_ERR_") for code in codes}
    for page in PAGES:
        text = page.read_text()
        named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", text))
        unknown = {name for name in named if not name.startswith("SITIN_")} - codes
        assert unknown == set(), page
    drawn = read("docs/statuses.md")
    assert all(status in drawn for status in BotStatus)


def test_every_target_of_make_is_told_by_help() -> None:
    makefile = read("Makefile")
    phony = re.findall(r"^\.PHONY: ([a-z -]+)$", makefile, re.MULTILINE)[0].split()
    helped = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    assert set(phony) == set(helped)
