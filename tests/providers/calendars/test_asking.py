"""How platforms are asked: waiting, trying again, and never too much at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks
from starlette.responses import Response

from sitin.contract.calendars import TokenExpiredError, UnreadableAnswerError
from sitin.contract.failures import RetriableError
from sitin.providers.calendars import asking
from sitin.providers.calendars.asking import MOST_AT_ONCE, Refusal, VendorClient
from tests.providers.calendars.scripted import Scripted
from tests.serving import serving
from tests.waiting import until

pytestmark = pytest.mark.unit


@pytest.fixture
async def vendor() -> AsyncIterator[VendorClient]:
    vendor = VendorClient(name="The platform", setting="SITIN_URL")
    yield vendor
    await vendor.aclose()


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """Seconds that were waited before each further try."""
    found: list[float] = []

    def keep(details: RetryDetails) -> None:
        found.append(details.wait_for)

    set_on_retry_hooks([keep])
    yield found
    set_on_retry_hooks(None)


def expired(refusal: Refusal) -> Exception:
    return TokenExpiredError(f"status {refusal.status}")


async def ask(vendor: VendorClient, url: str, **how: Any) -> bytes:
    return await vendor.ask("GET", f"{url}/x", doing="answer", judge=expired, **how)


async def test_what_passes_soon_is_tried_again(
    vendor: VendorClient, platform: Scripted, url: str
) -> None:
    for status in (503, 429):
        platform.answer(status)
    platform.answer(200, "at last")
    with stamina.set_testing(True, attempts=3, cap=True):
        assert await ask(vendor, url) == b"at last"
    assert len(platform.asked) == 3


async def test_a_short_wait_is_kept(
    vendor: VendorClient, platform: Scripted, url: str, waits: list[float]
) -> None:
    platform.answer(429, retry_after="1")
    platform.answer(200, "at last")
    assert await ask(vendor, url) == b"at last"
    assert waits == [1.0]


@pytest.mark.parametrize("after", ["4", "7", "99999999999999999999"])
async def test_a_long_wait_is_the_callers(
    vendor: VendorClient, platform: Scripted, url: str, waits: list[float], after: str
) -> None:
    platform.answer(429, retry_after=after)
    with pytest.raises(RetriableError) as failed:
        await ask(vendor, url)
    assert failed.value.after == min(float(after), 3600.0)
    assert waits == []


async def test_patience_ends(vendor: VendorClient, platform: Scripted, url: str) -> None:
    for _ in range(5):
        platform.answer(503)
    with stamina.set_testing(True, attempts=3, cap=True), pytest.raises(RetriableError):
        await ask(vendor, url)
    assert len(platform.asked) == 3


async def test_what_asking_again_does_not_mend_is_asked_once(
    vendor: VendorClient, platform: Scripted, url: str
) -> None:
    platform.answer(401)
    with pytest.raises(TokenExpiredError):
        await ask(vendor, url, access="x")
    platform.answer(503)
    with pytest.raises(RetriableError):
        await ask(vendor, url, once=True)
    assert len(platform.asked) == 2


class Crowd:
    """Answers once it is told to, and counts who waits."""

    def __init__(self) -> None:
        self.waiting = 0
        self.most = 0
        self.open = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.open.wait()
        self.waiting -= 1
        await Response("done")(scope, receive, send)


async def test_a_token_makes_few_requests_at_once(vendor: VendorClient) -> None:
    crowd = Crowd()
    async with serving(crowd) as url:
        one = [asyncio.create_task(ask(vendor, url, access="one")) for _ in range(6)]
        await until(lambda: crowd.waiting == MOST_AT_ONCE)
        other = asyncio.create_task(ask(vendor, url, access="other"))
        await until(lambda: crowd.waiting == MOST_AT_ONCE + 1)
        crowd.open.set()
        await asyncio.gather(*one, other)
        assert crowd.most == MOST_AT_ONCE + 1
    assert not vendor._gates


async def test_silence_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_WHOLE_REQUEST", 0.2)
    vendor = VendorClient(name="The platform", setting="SITIN_URL", patience=0)
    crowd = Crowd()
    async with serving(crowd) as url:
        with pytest.raises(RetriableError, match="could not be reached to answer"):
            await ask(vendor, url)
        crowd.open.set()
    await vendor.aclose()


async def test_a_body_that_cannot_be_unpacked(
    vendor: VendorClient, platform: Scripted, url: str
) -> None:
    platform.answer(200, "no gzip", content_encoding="gzip")
    with pytest.raises(RetriableError):
        await ask(vendor, url, once=True)


async def test_a_long_complaint_is_cut_off(
    vendor: VendorClient, platform: Scripted, url: str
) -> None:
    seen: list[Refusal] = []

    def keep(refusal: Refusal) -> Exception:
        seen.append(refusal)
        return UnreadableAnswerError("no")

    platform.answer(400, "x" * 1_000_000)
    with pytest.raises(UnreadableAnswerError):
        await vendor.ask("GET", url, doing="answer", judge=keep)
    assert len(seen[0].body) == asking.LARGEST_COMPLAINT
