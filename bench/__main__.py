"""``make bench``: measures, prints one table, writes it as JSON. ``docs/bench.md`` explains it.

Each part can be run alone: ``make bench ARGS="capture service"``. A further part is a function of
the meetings' length that gives rows, and a line in ``PARTS``.
"""

import argparse
import asyncio
import json
import platform
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from bench import api, calendars, capture, isolation, scheduling, service, webhooks
from bench.row import Row


async def _api(_seconds: float) -> list[Row]:
    """Creating bots, and lists of them at three sizes."""
    return [*await api.creating(), *await api.listing()]


async def _scheduling(_seconds: float) -> list[Row]:
    """From the time of a scheduled bot until it is queued, when many have the same time."""
    return await scheduling.queueing()


async def _webhooks(_seconds: float) -> list[Row]:
    """Messages to many endpoints, some of which hang or refuse."""
    found = await webhooks.measure()
    what = (
        f"{webhooks.MESSAGES:,} at {webhooks.PER_SECOND}/s to {webhooks.ENDPOINTS} endpoints, "
        f"{webhooks.HANGING} hang, {webhooks.REFUSING} refuse"
    )
    behind = f"publications behind by {found.published_late:.2f} s at most"
    return [
        Row("webhooks: p50 to healthy endpoints", found.percentile(50), "s", note=what),
        Row("webhooks: p99 to healthy endpoints", found.percentile(99), "s", 2, note=behind),
        Row("webhooks: arrived at healthy endpoints", found.per_second, "/s"),
        Row(
            "webhooks: worker's CPU-s per 1,000 attempts",
            found.per_thousand(found.worker),
            "s",
            note=f"{found.attempts:,} attempts",
        ),
        Row(
            "webhooks: Postgres' CPU-s per 1,000 attempts",
            found.per_thousand(found.postgres),
            "s",
            note="publishing included",
        ),
        Row("webhooks: worker's PSS before", found.pss_before / 1e6, "MB"),
        Row("webhooks: worker's peak PSS", found.pss_peak / 1e6, "MB"),
        Row("webhooks: worker's PSS after", found.pss_after / 1e6, "MB"),
    ]


async def _calendars(_seconds: float) -> list[Row]:
    """Syncs of few and of many events, and a thousand calendars that change in a minute."""
    return await calendars.syncing() + await calendars.pushing()


PARTS: dict[str, Callable[[float], Awaitable[list[Row]]]] = {
    "capture": capture.cost,
    "variants": capture.variants,
    "speakers": capture.attribution,
    "isolation": isolation.starts,
    "service": service.measure,
    "api": _api,
    "scheduling": _scheduling,
    "webhooks": _webhooks,
    "calendars": _calendars,
}


_IDLE_FOR = 3.0
"""Seconds for which the machine is watched before the run: what else it does costs every figure."""


async def _measure(parts: list[str], seconds: float) -> list[Row]:
    rows = []
    for part in parts:
        print(f"measuring: {part}", file=sys.stderr)
        rows += await PARTS[part](seconds)
    return rows


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; or all")
    parser.add_argument("--seconds", type=float, default=60, help="length of a meeting")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f"there is no part {unknown.pop()!r}; the parts are {', '.join(PARTS)}")
    busy = psutil.cpu_percent(_IDLE_FOR)
    rows = asyncio.run(_measure(arguments.parts or list(PARTS), arguments.seconds))
    machine = (
        f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
    title = f"{arguments.seconds:g} s meetings on {machine}; {busy:.0f} % busy beforehand"
    table = Table(title=title)
    for column in ("figure", "measured", "to reach", "", "note"):
        table.add_column(column, justify="right" if column in ("measured", "to reach") else "left")
    for row in rows:
        goal = "" if row.to_reach is None else f"{'≥' if row.at_least else '≤'} {row.to_reach:g}"
        mark = {True: "reached", False: "missed", None: ""}[row.reached]
        table.add_row(row.what, f"{row.measured:.2f} {row.unit}", goal, mark, row.note)
    Console(width=140).print(table)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "machine": machine,
        "busy_beforehand": busy,
        "seconds": arguments.seconds,
        "rows": [asdict(row) | {"reached": row.reached} for row in rows],
    }
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
