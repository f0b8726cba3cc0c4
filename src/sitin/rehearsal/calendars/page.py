"""The control page: what is in the calendars of the next weeks, and buttons. For the controls.

Plain forms without a script; each goes to the control that a program would call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.clock import MovableClock
from sitin.rehearsal.calendars.provider import RehearsedProvider
from sitin.rehearsal.calendars.states import account_state, event_state

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class _Row:
    """An occurrence, and where the controls for its event are."""

    state: Mapping[str, Any]
    url: str


def render_page(
    providers: Mapping[str, RehearsedProvider],
    clock: MovableClock,
    *,
    base: str,
    window: timedelta,
    error: str | None = None,
) -> str:
    """The whole page.

    Args:
        providers: By the name that their controls go by.
        clock: Its time is where the window begins.
        base: Path of the controls.
        window: How far ahead events are shown.
        error: What was wrong with what was just asked for.
    """
    return _TEMPLATES.get_template("page.html").render(
        base=base,
        clock=clock,
        error=error,
        days=window.days,
        providers=[
            (
                name,
                [
                    _account(name, provider, account, window, base)
                    for account in provider.accounts.values()
                ],
            )
            for name, provider in providers.items()
        ],
    )


def _account(
    name: str, provider: RehearsedProvider, account: Any, window: timedelta, base: str
) -> dict[str, Any]:
    url = f"{base}/{name}"
    return {
        **account_state(account),
        "url": f"{url}/accounts/{quote(account.email, safe='')}",
        "ways_to_end": sorted(account.ways_to_end),
        "shown": [
            {
                "calendar": entry.calendar,
                "role": entry.role.value,
                "url": f"{url}/calendars/{quote(entry.calendar.id, safe='')}",
                "rows": _rows(provider, entry.calendar, window, url),
            }
            for entry in account.entries.values()
            if not entry.gone and not entry.calendar.deleted
        ],
    }


def _rows(
    provider: RehearsedProvider, calendar: Calendar, window: timedelta, url: str
) -> list[_Row]:
    now = provider.clock.now()
    path = f"{url}/calendars/{quote(calendar.id, safe='')}/events"
    return [
        _Row(event_state(event, calendar, provider), f"{path}/{quote(event.id, safe='')}")
        for event in calendar.occurrences(now, now + window, removed=True)
    ]
