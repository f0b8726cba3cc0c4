"""Asking Graph: what every request carries, page after page. Used by the provider only."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from sitin.contract.calendars import UnreadableAnswerError
from sitin.providers.calendars.asking import Judging, VendorClient, base_of
from sitin.providers.calendars.microsoft.answers import NAME, graph_failure, round_failure
from sitin.providers.calendars.microsoft.rounds import Round
from sitin.providers.calendars.microsoft.wire import CalendarPage, EventPage

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P", CalendarPage, EventPage)

VERSION = "/v1.0"
PAGE_SIZE = 200
MOST_PAGES = 1000

_IMMUTABLE_IDS = 'IdType="ImmutableId"'
"""Ids that stay when an event is moved. On every request, or two kinds of ids get mixed."""


class Graph:
    """Graph at one address, with or without ``/v1.0`` at its end."""

    def __init__(self, vendor: VendorClient, url: str) -> None:
        self._vendor = vendor
        self._base = base_of(url, VERSION) + VERSION

    async def ask(
        self,
        method: str,
        path: str,
        access: str,
        doing: str,
        *,
        judging: Judging = graph_failure,
        prefer: str | None = None,
        **request: Any,
    ) -> bytes:
        """What a request to a path, or to one of Graph's own links, is answered."""
        return await self._vendor.ask(
            method,
            self._base + path if path.startswith("/") else path,
            doing=doing,
            judge=lambda refusal: judging(self._vendor, refusal, doing),
            access=access,
            headers={"prefer": f"{_IMMUTABLE_IDS}, {prefer}" if prefer else _IMMUTABLE_IDS},
            **request,
        )

    async def get(self, model: type[M], path: str, access: str, doing: str) -> M:
        """One thing."""
        return self._vendor.read(model, await self.ask("GET", path, access, doing))

    async def pages(
        self,
        model: type[P],
        path: str,
        access: str,
        doing: str,
        params: Mapping[str, str] | None = None,
        *,
        judging: Judging = graph_failure,
        prefer: str | None = None,
    ) -> AsyncIterator[P]:
        """Every page of a list, each by the link of the one before."""
        for _ in range(MOST_PAGES):
            answer = await self.ask(
                "GET", path, access, doing, judging=judging, params=params, prefer=prefer
            )
            page = self._vendor.read(model, answer)
            yield page
            if page.next_link is None:
                return
            path, params = self.own(page.next_link), None
        raise UnreadableAnswerError(f"{NAME}'s list has no end.")

    async def round(
        self, path: str, access: str, params: Mapping[str, str] | None = None
    ) -> tuple[Round, str]:
        """A round of delta, and the link of the next."""
        taken = Round()
        link: str | None = None
        async for page in self.pages(
            EventPage,
            path,
            access,
            "list the events",
            params,
            judging=round_failure,
            prefer=f"odata.maxpagesize={PAGE_SIZE}",
        ):
            taken.take(page)
            link = page.delta_link
        if link is None:
            raise UnreadableAnswerError(f"{NAME} ended a round without a link to the next.")
        return taken, self.own(link)

    def own(self, link: str) -> str:
        """A link as it is, if it leads to this Graph: the token goes along."""
        if not self.leads_here(link):
            raise UnreadableAnswerError(
                f"{NAME} gave a link that leads elsewhere; SITIN_MICROSOFT_GRAPH_URL has to be the "
                "address that it gives itself."
            )
        return link

    def leads_here(self, link: str) -> bool:
        """Whether a link leads to this Graph."""
        base = httpx.URL(self._base)
        try:
            to = httpx.URL(link)
        except httpx.InvalidURL:
            return False
        return (
            (to.scheme, to.host, to.port, to.userinfo) == (base.scheme, base.host, base.port, b"")
            and to.path.startswith(base.path + "/")
            and not to.fragment
        )
