"""Lists, page by page, while rows come in wherever they like: nothing is lost, nothing doubled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, cycle
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sitin.accounts.service import Caller
from sitin.bots.configuration import meeting_columns, meeting_of
from sitin.bots.models import Bot
from sitin.bots.requests import CreateBotRequestBody
from sitin.bots.scheduled.models import ScheduledBot
from sitin.contract.codes import TranscriptionStatus
from sitin.kit.clock import iso
from tests.api.conftest import Api

pytestmark = [
    pytest.mark.db,
    pytest.mark.timeout(900),  # hypothesis takes its time to make a failure small
]

URLS = {
    "meet": "https://meet.google.com/abc-defg-hij",
    "zoom": "https://zoom.us/j/85000000000",
    "teams": "https://teams.microsoft.com/meet/123456789",
}
NAMES = ("Weekly sales", "Sales, Ada", "Board")
PARTS = ("sales", "SALES, A", "a", "ly", "board", "nowhere")
MINUTES = 5

_numbers = count(1)


@dataclass(frozen=True)
class Row:
    """A bot, as far as a list tells bots apart; many have the same time."""

    minute: int
    rank: int
    """Of its id among those of the same time."""
    status: str
    platform: str
    name: str
    n: int | None
    """What is in ``extra``."""


@dataclass(frozen=True)
class List:
    """One of the two lists: how its rows are stored, in which order they are, what it filters."""

    path: str
    statuses: tuple[str, ...]
    newest_first: bool
    after: str
    before: str
    has_extra: bool
    make: Callable[..., Bot | ScheduledBot]


def _bot(row: Row, moment: datetime, **columns: Any) -> Bot:
    ended = row.status in ("completed", "failed")
    return Bot(
        created_at=moment,
        status_at=moment,
        ended_at=moment if ended else None,
        transcription_status=TranscriptionStatus.NOT_APPLICABLE,
        **columns,
    )


def _scheduled(row: Row, moment: datetime, **columns: Any) -> ScheduledBot:
    return ScheduledBot(
        join_at=moment,
        created_at=moment,
        updated_at=moment,
        cancelled_at=moment if row.status == "cancelled" else None,
        **columns,
    )


BOTS = List(
    path="/v2/bots",
    statuses=("queued", "joining_call", "in_call_recording", "completed", "failed"),
    newest_first=True,
    after="created_after",
    before="created_before",
    has_extra=True,
    make=_bot,
)
SCHEDULED = List(
    path="/v2/bots/scheduled",
    statuses=("scheduled", "completed", "failed", "cancelled"),
    newest_first=False,
    after="scheduled_after",
    before="scheduled_before",
    has_extra=False,
    make=_scheduled,
)


@dataclass
class Reader:
    """A team, what its list holds, and who reads it with a filter."""

    api: Api
    of: List
    caller: Caller
    client: httpx.AsyncClient
    query: dict[str, Any]
    base: datetime
    rows: dict[UUID, Row] = field(default_factory=dict)

    @classmethod
    async def make(cls, api: Api, list_: List, wanted: dict[str, Any]) -> "Reader":
        caller = await api.house.team()
        base = api.house.clock.now().replace(second=0, microsecond=0) - timedelta(hours=1)
        query = {name: value for name, value in wanted.items() if name not in ("after", "before")}
        if not list_.has_extra:
            query.pop("extra", None)
        for bound, name in (("after", list_.after), ("before", list_.before)):
            if bound in wanted:
                query[name] = iso(base + timedelta(minutes=wanted[bound]))
        return cls(api, list_, caller, await api.client_of(caller), query, base)

    async def insert(self, rows: Sequence[Row]) -> None:
        """Have these rows in the list from now on."""
        async with self.api.house.database.transaction() as session:
            for row in rows:
                row_id = UUID(f"{row.rank:08x}-0000-4000-8000-{next(_numbers):012x}")
                self.rows[row_id] = row
                body = CreateBotRequestBody(
                    bot_name=row.name,
                    meeting_url=URLS[row.platform],
                    extra=None if row.n is None else {"n": row.n},
                )
                made = self.of.make(
                    row,
                    self.base + timedelta(minutes=row.minute),
                    id=row_id,
                    team_id=self.caller.team_id,
                    status=row.status,
                    error_code="INTERNAL_ERROR" if row.status == "failed" else None,
                    **self.api.house.configurations.columns(body),
                    **meeting_columns(body, meeting_of(body.meeting_url)),
                )
                session.add(made)

    def expected(self) -> list[UUID]:
        """What the whole list holds now, in its order."""
        return sorted(
            (row_id for row_id, row in self.rows.items() if self._fits(row)),
            key=self.place,
        )

    def place(self, row_id: UUID) -> tuple[int, int]:
        """Where a row stands in the list; lower is earlier."""
        minute, rank = self.rows[row_id].minute, row_id.int
        return (-minute, -rank) if self.of.newest_first else (minute, rank)

    def _fits(self, row: Row) -> bool:
        moment = iso(self.base + timedelta(minutes=row.minute))
        return (
            row.status in self.query.get("status", row.status).split(",")
            and row.platform in self.query.get("meeting_platform", row.platform).split(",")
            and self.query.get("bot_name", "").lower() in row.name.lower()
            and self.query.get("extra", f"n:{row.n}") == f"n:{row.n}"
            and moment > self.query.get(self.of.after, "")
            and moment < self.query.get(self.of.before, "9")
        )

    async def page(self, limit: int, cursor: str | None) -> "Read":
        query = self.query | {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
        response = await self.client.get(self.of.path, params=query)
        assert response.status_code == 200, response.text
        answer = response.json()
        ids = [UUID(one["bot_id"]) for one in answer["data"]]
        return Read(ids, answer["cursor"], answer["prev_cursor"])


@dataclass
class Read:
    """A page."""

    ids: list[UUID]
    cursor: str | None
    prev_cursor: str | None


lists = pytest.mark.parametrize("list_", [BOTS, SCHEDULED], ids=["bots", "scheduled"])

limits = st.one_of(st.integers(1, 5), st.integers(1, 100))


def rows_of(list_: List) -> st.SearchStrategy[Row]:
    """Rows of a list."""
    return st.builds(
        Row,
        minute=st.integers(0, MINUTES),
        rank=st.integers(0, 9),
        status=st.sampled_from(list_.statuses),
        platform=st.sampled_from(sorted(URLS)),
        name=st.sampled_from(NAMES),
        n=st.sampled_from([None, 1, 2]),
    )


def some_of(choices: Sequence[str]) -> st.SearchStrategy[str]:
    """A comma list."""
    return st.lists(st.sampled_from(choices), min_size=1, unique=True).map(",".join)


def filters_of(list_: List) -> st.SearchStrategy[dict[str, Any]]:
    """Filters of a list, any of them at once."""
    return st.fixed_dictionaries(
        {},
        optional={
            "status": some_of(list_.statuses),
            "meeting_platform": some_of(sorted(URLS)),
            "bot_name": st.sampled_from(PARTS),
            "extra": st.sampled_from(["n:1", "n:2"]),
            "after": st.integers(-1, MINUTES),
            "before": st.integers(0, MINUTES + 1),
        },
    )


@lists
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_there_and_back_nothing_is_lost_or_doubled(
    api: Api, list_: List, data: st.DataObject
) -> None:
    reader = await Reader.make(api, list_, data.draw(filters_of(list_), "filter"))
    await reader.insert(data.draw(st.lists(rows_of(list_), max_size=25), "rows"))
    sizes = cycle(data.draw(st.lists(limits, min_size=1, max_size=6), "sizes"))
    coming = data.draw(st.lists(st.lists(rows_of(list_), max_size=4), max_size=15), "coming")

    async def read_on(page: Read, cursor_of: Callable[[Read], str | None]) -> list[Read]:
        """Every page from the one after this to the last, while rows come in."""
        pages = [page]
        while (cursor := cursor_of(pages[-1])) is not None:
            if coming:
                await reader.insert(coming.pop())
            pages.append(await reader.page(next(sizes), cursor))
        return pages[1:]

    before = reader.expected()
    first = await reader.page(next(sizes), None)
    assert first.prev_cursor is None
    there = [first, *await read_on(first, lambda page: page.cursor)]
    check(reader, before, [row_id for page in there for row_id in page.ids])

    last = there[-1]
    if last.ids:
        before = [one for one in reader.expected() if reader.place(one) < reader.place(last.ids[0])]
        back = await read_on(last, lambda page: page.prev_cursor)
        check(reader, before, [row_id for page in reversed(back) for row_id in page.ids])


def check(reader: Reader, before: list[UUID], seen: list[UUID]) -> None:
    """Those that were there all the time were seen once each, and nothing that does not belong."""
    assert seen == sorted(set(seen), key=reader.place)
    assert [one for one in seen if one in set(before)] == before
    assert set(seen) <= set(reader.expected())


@lists
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_a_page_is_what_stands_next_to_its_cursor(
    api: Api, list_: List, data: st.DataObject
) -> None:
    """Both cursors of any page, as they are or turned round, whatever has come in meanwhile."""
    reader = await Reader.make(api, list_, data.draw(filters_of(list_), "filter"))
    await reader.insert(data.draw(st.lists(rows_of(list_), min_size=1, max_size=25), "rows"))
    page = await reader.page(data.draw(limits, "limit"), None)
    for _ in range(data.draw(st.integers(1, 6), "steps")):
        places = [
            (cursor, row_id)
            for cursor, row_id in ((page.cursor, page.ids[-1:]), (page.prev_cursor, page.ids[:1]))
            if cursor is not None
        ]
        if not places:
            assert page.ids == reader.expected()[: len(page.ids)]
            return
        cursor, (at,) = data.draw(st.sampled_from(places), "place")
        if data.draw(st.booleans(), "turned round"):
            cursor = cursor[1:] if cursor.startswith("-") else f"-{cursor}"
        await reader.insert(data.draw(st.lists(rows_of(list_), max_size=4), "coming"))
        limit = data.draw(limits, "limit")
        page = await reader.page(limit, cursor)
        place = reader.place(at)
        if cursor.startswith("-"):
            nearest = [one for one in reader.expected() if reader.place(one) < place][-limit:]
        else:
            nearest = [one for one in reader.expected() if reader.place(one) > place][:limit]
        assert page.ids == nearest
