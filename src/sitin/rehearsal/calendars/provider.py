"""What both providers have in common: accounts, faults, the way of a request. For their rooms.

A request is looked at in this order: what was asked to go wrong, then who sends it, then what it
asks. Every answer is noted, and shown to whoever observes.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sitin.contract.calendars import CalendarPlatform
from sitin.kit.errors import SitinError
from sitin.rehearsal.calendars.accounts import AccessToken, Account, Grant, OAuthClient, Tokens
from sitin.rehearsal.calendars.calendar import Calendar, Change
from sitin.rehearsal.calendars.clock import MovableClock
from sitin.rehearsal.calendars.errors import ApiError, CalendarControlError, UnknownError
from sitin.rehearsal.calendars.faults import NONSENSE, Fault, Faults, Gate
from sitin.rehearsal.calendars.model import Event, Moment
from sitin.rehearsal.calendars.paging import Paging
from sitin.rehearsal.calendars.pushes import Pushes
from sitin.rehearsal.calendars.times import read_zone

CLIENT_SECRET = "rehearsal-secret"  # noqa: S105 - nothing is secret here


@dataclass
class World:
    """What the providers share."""

    clock: MovableClock
    pushes: Pushes
    url: str = ""
    """Where the server answers; known once it listens."""
    last_number: int = 0
    """Of the last change of any calendar."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and how it was answered.

    Attributes:
        fault: What went wrong on purpose, if it made the answer.
    """

    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    page: int
    account: str | None
    status: int
    request_body: bytes
    fault: str | None


@dataclass
class Call:
    """A request on its way through a provider.

    Attributes:
        operation: Its name, as faults go by it.
        page: Which page of a listing it asks for, from 1 on.
        needs: What its scopes have to allow, by a name of the provider's; empty for nothing.
    """

    request: Request
    operation: str
    body: bytes
    page: int
    needs: str
    token: AccessToken | None = None

    @property
    def grant(self) -> Grant:
        """Whose request it is; for handlers of requests that need something."""
        assert self.token is not None
        return self.token.grant

    @property
    def account(self) -> Account:
        """Whose calendars are asked about; likewise."""
        return self.grant.account

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters after the question mark."""
        return self.request.query_params

    def path(self, name: str) -> str:
        """A part of the address."""
        return str(self.request.path_params[name])

    @property
    def form(self) -> Mapping[str, str]:
        """The fields of a form, if the body is one."""
        kind = self.request.headers.get("content-type", "").partition(";")[0]
        if kind != "application/x-www-form-urlencoded":
            return {}
        return dict(parse_qsl(self.body.decode(errors="replace")))

    def json(self) -> dict[str, Any]:
        """The body. Raises ``CalendarControlError``."""
        try:
            values = json.loads(self.body or b"{}")
        except ValueError as error:
            raise CalendarControlError(f"the body is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise CalendarControlError("the body has to be an object")
        return values


TOKEN = "token"  # noqa: S105 - the operation of refreshing one

Handler = Callable[[Call], Awaitable[Response]]
Observer = Callable[[Exchange, Response], None]
Effect = Callable[[Account], None]

EFFECTS: Mapping[str, Effect] = {
    "revoke": lambda account: account.revoke(),
    "expire_access": lambda account: account.expire_access(),
    "expire_sync": lambda account: account.expire_sync(),
}
"""name → what befalls an account before a request of it is looked at."""


class RehearsedProvider(ABC):
    """One of the two providers.

    Attributes:
        paging: How pages of every listing are cut.
        latency: Seconds that every answer takes at least.
        exchanges: The last ten thousand.
        observers: Called with every answer.
        client: The application that accounts let in unless told otherwise.
    """

    platform: ClassVar[CalendarPlatform]
    ways_to_end: ClassVar[frozenset[str]]
    """Why a grant may not be good any more, by names of this provider's."""
    all_scopes: ClassVar[tuple[str, ...]]
    """What an account grants unless told otherwise."""
    answers: Mapping[str, Callable[[int | None], ApiError]]
    """name → an error that a fault may give, from its ``retry_after``."""

    def __init__(self, world: World, client_id: str) -> None:
        self.world = world
        self.clock = world.clock
        self.tokens = Tokens()
        self.accounts: dict[str, Account] = {}
        self.calendars: dict[str, Calendar] = {}
        self.client = OAuthClient(client_id, CLIENT_SECRET)
        self.clients = {client_id: self.client}
        self.faults = Faults()
        self.paging = Paging()
        self.latency = 0.0
        self.exchanges: deque[Exchange] = deque(maxlen=10_000)
        self.observers: list[Observer] = []

    def account(
        self,
        email: str,
        *,
        name: str | None = None,
        zone: str = "UTC",
        scopes: Iterable[str] | None = None,
        client: OAuthClient | None = None,
    ) -> Account:
        """Make an account with a primary calendar and a grant for the client.

        Args:
            email: Its address.
            name: How people call them; the address if not given.
            zone: The primary calendar's time zone, an IANA name.
            scopes: What is granted; everything if not given.
            client: The application that is let in; ``self.client`` if not given.
        """
        if email in self.accounts:
            raise CalendarControlError(f"email: there is an account {email!r} already")
        made = Account(
            email,
            name=name or email,
            provider=self,
            ways_to_end=self.ways_to_end,
            zone=read_zone(zone),
        )
        made.allow(client or self.client, self.all_scopes if scopes is None else scopes)
        self.accounts[email] = made
        return made

    def find_account(self, email: str) -> Account:
        """An account by its address. Raises ``UnknownError``."""
        if email not in self.accounts:
            raise UnknownError(f"account: there is no account {email!r}")
        return self.accounts[email]

    def new_client(self, client_id: str, secret: str) -> OAuthClient:
        """Make a further application."""
        self.clients[client_id] = made = OAuthClient(client_id, secret)
        return made

    def fault(
        self,
        what: str,
        operation: str = "*",
        *,
        page: int | None = None,
        account: Account | None = None,
        skip: int = 0,
        times: int | None = 1,
        retry_after: int | None = None,
        afterwards: bool = False,
    ) -> Fault:
        """Let something befall requests; ``Fault`` explains the arguments.

        Args:
            what: One of ``self.answers``, of ``faults.NONSENSE`` or of ``EFFECTS``.
            retry_after: Seconds, for answers that say when to come back.
        """
        answer: Callable[[], ApiError | Response] | None = None
        if what in self.answers:
            answer = partial(self.answers[what], retry_after)
        elif what in NONSENSE:
            answer = NONSENSE[what]
        elif what not in EFFECTS:
            names = sorted({*self.answers, *NONSENSE, *EFFECTS})
            raise CalendarControlError(f"what: has to be one of {', '.join(names)}")
        return self.faults.add(
            Fault(
                what,
                operation,
                page,
                account.email if account is not None else None,
                skip,
                times,
                answer,
                EFFECTS.get(what),
                afterwards,
            )
        )

    def hold(
        self, operation: str = "*", *, page: int | None = None, account: Account | None = None
    ) -> Gate:
        """Hold such requests back until the gate is opened."""
        gate = Gate()
        email = account.email if account is not None else None
        self.faults.add(Fault("hold", operation, page, email, times=None, gate=gate))
        return gate

    def asked(self, operation: str, *, account: Account | None = None) -> list[Exchange]:
        """The requests of this operation until now."""
        return [
            exchange
            for exchange in self.exchanges
            if exchange.operation == operation
            and (account is None or exchange.account == account.email)
        ]

    # What calendars and accounts need

    def next_number(self) -> int:
        """A number for a change, larger than all before."""
        self.world.last_number += 1
        return self.world.last_number

    @abstractmethod
    def check(self, event: Event) -> None:
        """Refuse what the provider has no words for. Raises ``CalendarControlError``."""

    @abstractmethod
    def new_account_id(self) -> str:
        """An id as the profile shows it."""

    @abstractmethod
    def primary_calendar(self, account: Account, zone: ZoneInfo) -> Calendar:
        """Make the calendar that an account comes with."""

    @abstractmethod
    def new_calendar(self, account: Account, name: str, zone: ZoneInfo, own_id: str) -> Calendar:
        """Make a calendar; without an id of its own it gets a new one."""

    @abstractmethod
    def new_event_id(self) -> str:
        """An id that no event has."""

    @abstractmethod
    def split_id(self, series_id: str, at: Moment) -> str:
        """The id of the series that goes on from there."""

    @abstractmethod
    def ical_uid(self, event_id: str) -> str:
        """The id that the copies of a meeting share."""

    @abstractmethod
    def api_id(self, event: Event) -> str:
        """The id under which clients know an event or an occurrence."""

    @abstractmethod
    def locate(self, calendar: Calendar, text: str) -> Event:
        """The event or occurrence with such an id, deleted or not. Raises ``UnknownError``."""

    @abstractmethod
    def watchers(self) -> list[dict[str, Any]]:
        """Who is told of changes, as the API shows it."""

    @abstractmethod
    def changed(self, calendar: Calendar, changes: Sequence[Change]) -> None:
        """Tell whoever watches this calendar."""

    # The way of a request

    @abstractmethod
    def authorised(self, call: Call) -> AccessToken:
        """The access token of a request that may pass. Raises ``ApiError``."""

    @abstractmethod
    def refused(self, error: SitinError) -> Response:
        """The answer to what the calendar itself refuses."""

    @abstractmethod
    def of_token_endpoint(self, error: ApiError) -> ApiError:
        """An error of the API as the token endpoint words it."""

    @abstractmethod
    def page_of(self, request: Request) -> int:
        """Which page of a listing is asked for, from 1 on."""

    def holder(self, call: Call) -> Account | None:
        """Whose request this seems to be, by its token, whether that is good or not."""
        if (token := self.token(call)) is not None:
            return token.grant.account
        grant = self.tokens.refresh.get(call.form.get("refresh_token", ""))
        return grant.account if grant is not None else None

    def token(self, call: Call) -> AccessToken | None:
        """The access token that a request carries, good or not."""
        kind, _, text = call.request.headers.get("authorization", "").partition(" ")
        return self.tokens.access.get(text) if kind.lower() == "bearer" else None

    def route(
        self, path: str, method: str, operation: str, handler: Handler, *, needs: str = ""
    ) -> Route:
        """A route whose requests go the way of all; those that need nothing need no token."""

        async def endpoint(request: Request) -> Response:
            body = await request.body()
            call = Call(request, operation, body, self.page_of(request), needs)
            account = self.holder(call)
            response, fault = await self._answer(call, account, handler)
            exchange = Exchange(
                operation,
                method,
                request.url.path,
                dict(request.query_params),
                call.page,
                account.email if account is not None else None,
                response.status_code,
                call.body,
                fault,
            )
            self.exchanges.append(exchange)
            for observe in self.observers:
                observe(exchange, response)
            return response

        return Route(path, endpoint, methods=[method])

    def elsewhere(self) -> list[Route]:
        """Whatever no other route answers, as with a slash in an id: to stand behind them all."""

        async def refuse(call: Call) -> Response:
            raise UnknownError(f"path: there is nothing at {call.request.url.path!r}")

        return [
            self.route("/{path:path}", method, "elsewhere", refuse)
            for method in ("GET", "POST", "PATCH", "PUT", "DELETE")
        ]

    async def _answer(
        self, call: Call, account: Account | None, handler: Handler
    ) -> tuple[Response, str | None]:
        with self.slot(call, account) as refusal:
            if refusal is not None:
                return refusal.response(), None
            return await self._admitted(call, account, handler)

    @contextmanager
    def slot(self, call: Call, account: Account | None) -> Iterator[ApiError | None]:
        """A place for one request; inside it is refused if an error is given."""
        del call, account
        yield None

    async def _admitted(
        self, call: Call, account: Account | None, handler: Handler
    ) -> tuple[Response, str | None]:
        if self.latency:
            await asyncio.sleep(self.latency)
        befalling = self.faults.befalling(call.operation, call.page, account)
        for fault in befalling:
            if fault.effect is not None:
                assert account is not None
                fault.effect(account)
            if fault.gate is not None:
                await fault.gate.passed()
        given = next((fault for fault in befalling if fault.answer is not None), None)
        if given is None or given.afterwards:
            right = await self._right_answer(call, handler)
            if given is None:
                return right, None
        assert given.answer is not None
        made = given.answer()
        if isinstance(made, ApiError):
            error = self.of_token_endpoint(made) if call.operation == TOKEN else made
            made = error.response()
        return made, given.name

    async def _right_answer(self, call: Call, handler: Handler) -> Response:
        try:
            if call.needs:
                call.token = self.authorised(call)
            return await handler(call)
        except ApiError as error:
            return error.response()
        except SitinError as error:
            return self.refused(error)
