"""How notifications reach those who asked for them: over HTTP, and not always as sent. For both.

Delays are real seconds, whatever the calendars' clock says.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from sitin.kit.tls import trusted
from sitin.kit.waiting import wait_for_event
from sitin.rehearsal.calendars.errors import CalendarControlError

_ANSWER_SECONDS = 10.0
_AT_ONCE = 32

RETRY_DELAYS = (0.5, 2.0, 10.0, 30.0)
"""Seconds before a notification is sent again. The providers go on for hours."""


@dataclass(frozen=True, slots=True)
class Push:
    """One notification.

    Attributes:
        subscription: The channel's or subscription's id.
        url: Where to.
        headers: All that it needs.
        item: A notification of a list, which shares a request with others to the same address;
            ``None`` for a request without a body.
        again: For which statuses it is sent again.
    """

    subscription: str
    url: str
    headers: Mapping[str, str]
    item: Mapping[str, Any] | None
    again: Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request with notifications, and what came of it.

    Attributes:
        status: ``None`` without an answer.
        error: What happened instead.
    """

    subscriptions: tuple[str, ...]
    url: str
    status: int | None
    error: str | None = None


@dataclass
class Pushes:
    """Sends notifications; ``open`` and ``close`` are the server's.

    Attributes:
        timeout: Seconds in which a receiver has to answer.
        retry_delays: Seconds before each further attempt.
        log: What was sent last.
        dropped: How many were lost on purpose.
    """

    timeout: float = 10.0
    retry_delays: Sequence[float] = RETRY_DELAYS
    log: deque[Delivery] = field(default_factory=lambda: deque(maxlen=10_000))
    dropped: int = 0
    _drop: int = 0
    _copies: int = 1
    _delay: float = 0.0
    _held: list[list[Push]] | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def open(self) -> None:
        """Be ready to send."""
        self._client = httpx.AsyncClient(
            verify=trusted(),
            trust_env=False,
            timeout=None,  # noqa: S113 - each request has its own
            limits=httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=_AT_ONCE),
        )
        # The client's own pool would let waiting requests run into the timeout.
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def close(self) -> None:
        """Send nothing any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    def send(self, pushes: Sequence[Push]) -> None:
        """Send notifications of one change, or lose, hold back, delay or repeat them."""
        lost = min(self._drop, len(pushes))
        self._drop -= lost
        self.dropped += lost
        left = list(pushes[lost:])
        if not left:
            return
        if self._held is not None:
            self._held.append(left)
            return
        self._dispatch(left)

    def after(self, answered: asyncio.Event, pushes: Sequence[Push]) -> None:
        """Send them once a request was answered."""
        self._start(self._send_after(answered, pushes))

    def drop(self, count: int = 1) -> None:
        """Lose the next so many."""
        self._drop += _checked(count, "count", least=0)

    def duplicate(self, copies: int = 2) -> None:
        """Send each so often from now on; 1 is the way it should be."""
        self._copies = _checked(copies, "copies", least=1)

    def delay(self, seconds: float) -> None:
        """Send each so much later from now on."""
        self._delay = _checked(seconds, "seconds", least=0.0)

    def hold(self) -> None:
        """Keep them back from now on."""
        if self._held is None:
            self._held = []

    def release(
        self, *, order: Literal["sent", "reversed"] = "sent", together: bool = False
    ) -> int:
        """Send what was held back, and hold no longer.

        Args:
            order: In which order; one goes only when the one before has arrived.
            together: All that can share a request in one (Microsoft).

        Returns:
            How many there were.
        """
        held, self._held = self._held or [], None
        if order == "reversed":
            held.reverse()
        count = sum(len(pushes) for pushes in held)
        groups = [[push for pushes in held for push in pushes]] if together else held
        self._start(self._one_by_one([batch for group in groups for batch in _batches(group)]))
        return count

    @property
    def held(self) -> int:
        """How many are kept back."""
        return sum(len(pushes) for pushes in self._held or [])

    async def settled(self) -> None:
        """Wait until all that was sent has arrived or is given up."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def now(self, push: Push) -> None:
        """Send one and wait for the answer, whatever else is asked for."""
        await self._post([push])

    async def ask(self, url: str) -> httpx.Response:
        """Ask an address for something; raises ``httpx.HTTPError``."""
        headers = {"content-type": "text/plain; charset=utf-8"}
        return await self._client.post(url, headers=headers, timeout=self.timeout)

    def _dispatch(self, pushes: list[Push]) -> None:
        for batch in _batches(pushes):
            for _ in range(self._copies):
                self._start(self._deliver(batch, self._delay))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_after(self, answered: asyncio.Event, pushes: Sequence[Push]) -> None:
        # An answer that could not be sent sets nothing.
        await wait_for_event(answered, _ANSWER_SECONDS)
        self.send(pushes)

    async def _one_by_one(self, batches: Iterable[list[Push]]) -> None:
        for batch in batches:
            await self._deliver(batch, 0.0)

    async def _deliver(self, batch: list[Push], delay: float) -> None:
        for wait in (delay, *self.retry_delays):
            await asyncio.sleep(wait)
            status = await self._post(batch)
            if status is not None and not batch[0].again(status):
                return

    async def _post(self, batch: list[Push]) -> int | None:
        first = batch[0]
        content = None
        if first.item is not None:
            content = json.dumps({"value": [push.item for push in batch]}).encode()
        subscriptions = tuple(push.subscription for push in batch)
        try:
            async with self._turn:
                answer = await self._client.post(
                    first.url,
                    headers=dict(first.headers),
                    content=content,
                    timeout=self.timeout,
                )
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            self.log.append(Delivery(subscriptions, first.url, None, reason))
            return None
        self.log.append(Delivery(subscriptions, first.url, answer.status_code))
        return answer.status_code


def _batches(pushes: Iterable[Push]) -> list[list[Push]]:
    """Those that share a request: lists' items to the same address."""
    batches: dict[object, list[Push]] = {}
    for push in pushes:
        key = object() if push.item is None else push.url
        batches.setdefault(key, []).append(push)
    return list(batches.values())


def _checked(value: Any, field_name: str, *, least: Any) -> Any:
    if value < least:
        raise CalendarControlError(f"{field_name}: has to be {least} or more")
    return value
