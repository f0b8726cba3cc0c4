"""What goes wrong with a request on purpose. For both providers and the controls."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from starlette.responses import Response

from sitin.rehearsal.calendars.accounts import Account
from sitin.rehearsal.calendars.errors import ApiError


class Gate:
    """Holds requests back until it is opened."""

    def __init__(self) -> None:
        self._standing = 0
        self._arrived = asyncio.Condition()
        self._open = asyncio.Event()

    async def reached(self, count: int = 1) -> None:
        """Wait until so many requests have come to it."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: self._standing >= count)

    def open(self) -> None:
        """Let requests pass, those that come later too."""
        self._open.set()

    async def passed(self) -> None:
        """Stand before it; for the request."""
        async with self._arrived:
            self._standing += 1
            self._arrived.notify_all()
        await self._open.wait()


@dataclass
class Fault:
    """Something that befalls requests.

    Attributes:
        name: Which one.
        operation: Only these; may have wildcards, e.g. ``events.*``.
        page: Only this page of a listing, from 1 on.
        account: Only this account's.
        skip: How many of those pass before.
        times: How many it befalls after that; ``None`` until it is taken away.
        answer: Given instead of the right answer.
        effect: What happens before the request is looked at.
        afterwards: Whether the request is acted on all the same: an answer lost on its way.
        gate: Where it is held back.
    """

    name: str
    operation: str = "*"
    page: int | None = None
    account: str | None = None
    skip: int = 0
    times: int | None = 1
    answer: Callable[[], ApiError | Response] | None = None
    effect: Callable[[Account], None] | None = None
    afterwards: bool = False
    gate: Gate | None = None

    def befalls(self, operation: str, page: int, account: Account | None) -> bool:
        """Whether it is this request's turn; counts."""
        if self.times == 0 or not fnmatchcase(operation, self.operation):
            return False
        if self.page is not None and page != self.page:
            return False
        if self.account is not None and (account is None or account.email != self.account):
            return False
        if self.effect is not None and account is None:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Faults:
    """Those that are there, in the order in which they were asked for."""

    there: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> Fault:
        """Let it befall requests from now on."""
        self.there.append(fault)
        return fault

    def clear(self) -> None:
        """Let nothing go wrong any more; gates open."""
        for fault in self.there:
            if fault.gate is not None:
                fault.gate.open()
        self.there.clear()

    def befalling(self, operation: str, page: int, account: Account | None) -> list[Fault]:
        """All whose turn it is."""
        found = [fault for fault in self.there if fault.befalls(operation, page, account)]
        self.there = [fault for fault in self.there if fault.times != 0]
        return found


def plain(
    status: int, body: str | bytes = b"", *, headers: Mapping[str, str] | None = None, kind: str
) -> Callable[[], Response]:
    """An answer of this content type."""
    return lambda: Response(body, status, headers=dict(headers or {}), media_type=kind)


NONSENSE: Mapping[str, Callable[[], Response]] = {
    "html": plain(200, "<html><body>We'll be right back.</body></html>", kind="text/html"),
    "cut_off": plain(200, '{"items": [{"id": "abc", "val', kind="application/json"),
    "no_object": plain(200, '["what", null, 7]', kind="application/json"),
    "wrong_types": plain(
        200,
        '{"items": {"id": 7}, "value": "none", "access_token": 5, "expires_in": "soon", "id": []}',
        kind="application/json",
    ),
    "empty": plain(200, kind="application/json"),
}
"""name → an answer that makes no sense, the same for both providers."""
