"""Asking a calendar platform over HTTP. Used by the two providers beside it only.

Every request has a time, every answer a size, every access token a few requests at once. What fails
is told in our words; neither a token nor a secret is in them.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import quote
from weakref import WeakValueDictionary

import httpx
import stamina
from pydantic import BaseModel, ValidationError

from sitin.contract.calendars import CalendarGoneError, UnreadableAnswerError
from sitin.contract.failures import ActionRequiredError, RetriableError
from sitin.kit.clock import Clock, SystemClock
from sitin.kit.tls import trusted
from sitin.providers.retry_after import seconds_to_wait

# A page of events with their descriptions and attendees stays far below this.
LARGEST_ANSWER = 64 * 1024 * 1024
LARGEST_COMPLAINT = 64 * 1024
MOST_AT_ONCE = 2
"""Requests at once with one token. Microsoft allows four for a mailbox, in all processes."""
LONGEST_INNER_WAIT = 3.0
"""Seconds; who asks for a longer wait is asked again by the caller."""
PATIENCE = 10.0
"""Seconds after which a request is not tried again."""

_TRIES = 3
# Microsoft asks back, twice and for ten seconds each, before it answers an order to push.
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_WHOLE_REQUEST = 90.0
_LONGEST_ACCESS = 86_400  # seconds
_LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=50)
_PASSING = frozenset({408, 425, 429})

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is neither a success nor one that passes by itself.

    Attributes:
        body: What it said, possibly cut off.
        after: Seconds that it asks to wait.
    """

    status: int
    body: bytes
    after: float | None


Judge = Callable[[Refusal], Exception]
"""Which failure a refusal stands for."""


class GoneError(CalendarGoneError):
    """What was asked for is not there; where nobody knows better, that is the calendar."""


class VendorClient:
    """The client of one platform.

    Args:
        name: The platform, as sentences name it.
        setting: Which settings hold its addresses.
        patience: Seconds after which a request is not tried again; 0 asks once.
    """

    def __init__(
        self, *, name: str, setting: str, clock: Clock | None = None, patience: float = PATIENCE
    ) -> None:
        self.name = name
        self._setting = setting
        self._clock = clock or SystemClock()
        self._patience = patience
        # Redirects stay unfollowed: the token would go along.
        self._http = httpx.AsyncClient(
            verify=trusted(), timeout=_TIMEOUT, limits=_LIMITS, follow_redirects=False
        )
        self._gates: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(
        self,
        method: str,
        url: str,
        *,
        doing: str,
        judge: Judge,
        access: str | None = None,
        once: bool = False,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> bytes:
        """What a request is answered. Raises what ``judge`` makes of a refusal.

        Args:
            doing: What is asked, to complete "… could not …".
            access: The access token.
            once: Whether asking twice would order twice.
        """
        carried = dict(headers or {})
        if access is not None:
            carried["authorization"] = f"Bearer {access}"
        if once or not self._patience:
            return await self._ask(method, url, doing, judge, access, carried, request)
        async for attempt in stamina.retry_context(
            on=_short_wait,
            attempts=_TRIES,
            timeout=self._patience,
            wait_initial=0.3,
            wait_max=LONGEST_INNER_WAIT,
            wait_jitter=0.3,
        ):
            with attempt:
                return await self._ask(method, url, doing, judge, access, carried, request)
        raise AssertionError("retried without an end")

    async def _ask(
        self,
        method: str,
        url: str,
        doing: str,
        judge: Judge,
        access: str | None,
        headers: dict[str, str],
        request: dict[str, Any],
    ) -> bytes:
        try:
            async with (
                self._gate(access),
                asyncio.timeout(_WHOLE_REQUEST),
                self._http.stream(method, url, headers=headers, **request) as response,
            ):
                if response.is_success:
                    return await self._body(response)
                refusal = Refusal(
                    response.status_code,
                    await _beginning(response),
                    seconds_to_wait(response.headers.get("retry-after"), now=self._clock.now()),
                )
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            raise RetriableError(f"{self.name} could not be reached to {doing}.") from error
        except httpx.InvalidURL as error:
            raise UnreadableAnswerError(f"{self.name} could not be asked to {doing}.") from error
        raise self._failure(refusal, doing, judge)

    def _failure(self, refusal: Refusal, doing: str, judge: Judge) -> Exception:
        if refusal.status in _PASSING or refusal.status >= 500:
            return self.passing(refusal, doing)
        if 300 <= refusal.status < 400:
            return ActionRequiredError(
                f"{self.name}'s address leads elsewhere; "
                f"{self._setting} has to name the final one.",
                by="operator",
            )
        return judge(refusal)

    def passing(
        self, refusal: Refusal, doing: str, *, after: float | None = None
    ) -> RetriableError:
        """The failure of what may work in a while; ``after`` is for one that does not say when."""
        return RetriableError(
            f"{self.name} could not {doing} now (status {refusal.status}).",
            after=after if refusal.after is None else refusal.after,
        )

    def unexpected(self, refusal: Refusal, doing: str, reason: str = "") -> UnreadableAnswerError:
        """The failure of what nobody has described."""
        why = f", {reason}" if reason else ""
        return UnreadableAnswerError(
            f"{self.name} refused to {doing} for a reason that is not known here "
            f"(status {refusal.status}{why})."
        )

    def read(self, model: type[M], answer: bytes) -> M:
        """Parse an answer."""
        try:
            return model.model_validate_json(answer)
        except ValidationError:
            # What is wrong with it would show what is in it.
            raise UnreadableAnswerError(
                f"{self.name}'s answer is not what its API promises."
            ) from None

    def _gate(self, access: str | None) -> AbstractAsyncContextManager[None]:
        if access is None:
            return nullcontext()
        gate = self._gates.get(access)
        if gate is None:
            gate = self._gates[access] = asyncio.Semaphore(MOST_AT_ONCE)
        return gate

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > LARGEST_ANSWER:
                raise UnreadableAnswerError(f"{self.name}'s answer is larger than any page is.")
        return bytes(body)


Judging = Callable[[VendorClient, Refusal, str], Exception]
"""A judge that is still to be told who refuses and what was asked."""


def base_of(url: str, version: str) -> str:
    """An API's address without the path of its version."""
    return url.rstrip("/").removesuffix(version).rstrip("/")


def segment(text: str) -> str | None:
    """A foreign id as one segment of a path; ``None`` for what would be another path."""
    if not text or len(text) > 1024 or text in {".", ".."}:
        return None
    return quote(text, safe="=")


def lifetime(seconds: int) -> timedelta:
    """How long an access token lives, within reason."""
    return timedelta(seconds=min(max(0, seconds), _LONGEST_ACCESS))


def named(reason: object) -> str:
    """A vendor's code for why, when it is one that a sentence may quote."""
    if isinstance(reason, str) and 0 < len(reason) <= 60 and reason.isascii():
        return reason if all(c.isalnum() or c in "._" for c in reason) else ""
    return ""


def _short_wait(error: Exception) -> bool | float:
    # The kinds that say more (an expired token, nonsense) are not mended by asking again.
    if type(error) is not RetriableError:
        return False
    if error.after is None:
        return True
    return error.after if error.after <= LONGEST_INNER_WAIT else False


async def _beginning(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > LARGEST_COMPLAINT:
            break
    return bytes(body[:LARGEST_COMPLAINT])
