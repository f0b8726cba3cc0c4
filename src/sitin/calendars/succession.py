"""What was wanted of a series goes on with the one that takes its place. Used by the sync.

Whoever changes "this and all following" makes providers end one series and begin another, in one
sync or in several, in either order, and of what lies beyond the window only the beginning is ever
seen. Google's ids tell which series goes on from which. Microsoft's do not: there a series takes
the place of one of the same organizer that has no occurrence any more from there on, and that

- was cut short within the last hour (``MEMORY``), and had its title, its address where no third one
  has it, or one of its times; two of these where nothing is left of it; or
- ran out less than five weeks before (``GAP``), and had two of its title, address, and day and time
  of the week.

Of several that could be meant the likeliest is; where two are as likely, nobody's bots are sent
where nobody asked for them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.bots.scheduled.for_events import EventBots
from sitin.calendars import store
from sitin.calendars.comparing import Window, Written
from sitin.calendars.models import Connection, Event, Series
from sitin.contract.calendars import CalendarPlatform, EventStatus
from sitin.kit.clock import Clock

MEMORY = timedelta(hours=1)
"""How far apart the end of a series and the beginning of its heir may be told."""

GAP = timedelta(days=35)
"""How long before its heir begins a series may have run out: the longest step of a monthly one."""

_IDS_TELL = {CalendarPlatform.GOOGLE}
"""Where a series whose id tells of no other goes on from none."""

_SUMMER_TIME = timedelta(hours=1)
_MOMENT = timedelta(microseconds=1)
_FOREVER = datetime.max.replace(tzinfo=UTC)

log = structlog.get_logger(__name__)


class Succession:
    """Carries over in the caller's transaction."""

    def __init__(self, *, bots: EventBots, clock: Clock) -> None:
        self._bots = bots
        self._clock = clock

    async def carry_over(
        self,
        session: AsyncSession,
        connection: Connection,
        written: Written,
        series: Mapping[UUID, Series],
        window: Window,
    ) -> Sequence[Event]:
        """Give what a sync has written the wishes of what it took the place of.

        Returns the events whose wishes are others now, in so far as the sync did not write them.
        """
        if not (written.created or written.cancelled):
            return []
        if not await store.has_wishes(session, connection.id):
            return []
        # The occurrences of a series with another pattern, of a meeting that recurs by now.
        await self._carry_over_single(session, connection, written.created)
        followed: list[Event] = []
        for heir in await self._heirs(session, connection, written, series):
            events = [
                event
                for event in await store.known_of_series(session, [heir.id], window)
                if event.status != EventStatus.CANCELLED
            ]
            if not events or (
                heir.id not in written.new_series and await self._had_bots(session, events)
            ):
                continue
            ancestor = await self._ancestor(session, connection, heir, events, window)
            if ancestor is not None:
                heir.bot = ancestor.bot
                await self._carry_over_single(session, connection, events, ancestor)
                followed += events
        await session.flush()
        return followed

    async def _heirs(
        self,
        session: AsyncSession,
        connection: Connection,
        written: Written,
        series: Mapping[UUID, Series],
    ) -> Sequence[Series]:
        """Series that may have taken another's place, by their beginning.

        Those that are new, and those that were when something of theirs was there twice.
        """
        return await store.heirs(
            session,
            connection.id,
            new=written.new_series,
            lost=[
                event
                for event in written.cancelled
                if series[event.series_id].event_type == "recurring"
            ],
            since=self._clock.now() - MEMORY,
        )

    async def _had_bots(self, session: AsyncSession, events: Sequence[Event]) -> bool:
        """Whether the team has decided about its bots already."""
        return any(event.bot is not None or event.bot_declined for event in events) or bool(
            await self._bots.of_events(session, [event.id for event in events])
        )

    async def _carry_over_single(
        self,
        session: AsyncSession,
        connection: Connection,
        events: Sequence[Event],
        ancestor: Series | None = None,
    ) -> None:
        """What was wanted of a lost occurrence is wanted of the one at its time.

        ``ancestor`` is the series that the lost ones are of, where it is not their own.
        """
        series = {event.series_id for event in events} if ancestor is None else {ancestor.id}
        lost = {
            (event.series_id, event.start_at): event
            for event in await store.lost_wishes(session, connection.id, series)
        }
        for event in events:
            was = lost.get((event.series_id if ancestor is None else ancestor.id, event.start_at))
            if was is not None and event.status != EventStatus.CANCELLED:
                event.bot, event.bot_declined = was.bot, was.bot_declined

    async def _ancestor(
        self,
        session: AsyncSession,
        connection: Connection,
        heir: Series,
        events: Sequence[Event],
        window: Window,
    ) -> Series | None:
        kin = await store.before_in_family(session, connection.id, heir)
        if kin is not None or connection.platform in _IDS_TELL:
            return kin
        memory = self._clock.now() - MEMORY
        begins = min(event.start_at for event in events)
        # Two gaps, so that how often it occurred can be told.
        since = begins - 2 * GAP
        alike = await store.alike(
            session, connection.id, heir, events, since=since, lost_since=memory
        )
        lives = await self._lives(session, alike, since)
        its_own = _Life.of(events, memory)
        # In somebody's own room any meeting may be; the address of one series tells it from others.
        rooms = Counter(address for life in lives.values() for address in life.addresses)
        own_address = frozenset(one for one in its_own.addresses if rooms[one] == 1)
        ranks = {
            one.id: rank
            for one in alike
            if (rank := its_own.goes_on_from(lives[one.id], own_address, begins, window.end))
        }
        taken = {
            one
            for one in ranks
            for other in alike
            if other.id != one
            # Another has taken its place before, or is about to.
            and lives[one].end < other.starts_at <= begins
            and lives[other.id].likeness(lives[one]) >= its_own.likeness(lives[one])
        }
        ranks = {one: rank for one, rank in ranks.items() if one not in taken}
        best = [one for one in alike if one.id in ranks and ranks[one.id] == max(ranks.values())]
        if len(best) > 1:
            log.info("calendar_heir_ambiguous", series=str(heir.id), candidates=len(best))
        return best[0] if len(best) == 1 else None

    async def _lives(
        self, session: AsyncSession, series: Sequence[Series], since: datetime
    ) -> Mapping[UUID, "_Life"]:
        ids = [one.id for one in series]
        events = await store.known_of_series(session, ids, Window(since, _FOREVER))
        grouped: dict[UUID, list[Event]] = {one: [] for one in ids}
        for event in events:
            grouped[event.series_id].append(event)
        memory = self._clock.now() - MEMORY
        return {one: _Life.of(found, memory) for one, found in grouped.items()}


@dataclass(frozen=True, slots=True)
class _Life:
    """What is known of a series.

    Attributes:
        starts: Of its occurrences, in order.
        lost: Starts of those that it has just lost.
        titles: Of all of them.
        addresses: Of their meetings.
        slots: Their days of the week and times of the day.
    """

    starts: Sequence[datetime]
    lost: frozenset[datetime]
    titles: frozenset[str]
    addresses: frozenset[str]
    slots: frozenset[tuple[int, time]]

    @classmethod
    def of(cls, events: Iterable[Event], memory: datetime) -> "_Life":
        on = [event for event in events if event.status != EventStatus.CANCELLED]
        lost = [
            event
            for event in events
            if event.status == EventStatus.CANCELLED and event.updated_at >= memory
        ]
        both = [*on, *lost]
        return cls(
            sorted(event.start_at for event in on),
            frozenset(event.start_at for event in lost),
            frozenset(event.title for event in both),
            frozenset(event.meeting_url for event in both if event.meeting_url is not None),
            frozenset(_slot(event) for event in both),
        )

    @property
    def end(self) -> datetime:
        """When its last occurrence begins; of one that has lost all, when the first would have."""
        return self.starts[-1] if self.starts else min(self.lost, default=_FOREVER) - _MOMENT

    def likeness(self, other: "_Life") -> int:
        """How much of what tells series apart is the same."""
        return sum(
            map(
                bool,
                (
                    self.titles & other.titles,
                    self.addresses & other.addresses,
                    self.slots & other.slots,
                ),
            )
        )

    def goes_on_from(
        self, other: "_Life", own_address: frozenset[str], begins: datetime, horizon: datetime
    ) -> int:
        """How likely this one, which begins then, takes the other's place; 0 for not at all.

        ``own_address`` is what of its addresses no more than one other series has.
        """
        if other.end >= begins:
            return 0
        likeness = self.likeness(other)
        kept = (
            self.titles & other.titles,
            own_address & other.addresses,
            other.lost & {*self.starts},
        )
        if other.lost and sum(map(bool, kept)) >= (1 if other.starts else 2):
            return likeness + 1
        return likeness if likeness >= 2 and other.ran_out(begins, horizon) else 0

    def ran_out(self, begins: datetime, horizon: datetime) -> bool:
        """Whether it had its last occurrence shortly before, and none where one was due."""
        if len(self.starts) < 2 or begins - self.starts[-1] > GAP:
            return False
        step = max(after - before for before, after in pairwise(self.starts))
        return self.starts[-1] + step <= horizon + _SUMMER_TIME


def _slot(event: Event) -> tuple[int, time]:
    start = event.start_at.astimezone(ZoneInfo(event.time_zone or "UTC"))
    return start.weekday(), start.time()
