"""What every platform's adapter does: the way to the door, the call, every end of it.

Each platform is met in its rehearsal, with the bot's own browser; the fake on an empty page.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.async_api import Page
from structlog.testing import capture_logs

from sitin.contract.codes import EndReason, Platform, RecordingMode
from sitin.contract.failures import RetriableError
from sitin.contract.meeting import (
    Admitted,
    JoinStep,
    MediaSource,
    MeetingAdapter,
    MeetingSignal,
    Over,
    Roster,
    RosterEntry,
    Sources,
    Waiting,
)
from sitin.platforms.registry import ADAPTERS
from sitin.rehearsal import Meeting, RehearsalServer, Script
from sitin.runner.recorder import Recorder
from tests.fakes.meeting import FakeAdapter
from tests.runner.conftest import ADDRESS, bot_browser
from tests.runner.host import order

pytestmark = pytest.mark.e2e

BOT = "Note taker"
OTHERS = ("Ada Martin", "Ben Okafor")


class Host(Protocol):
    """Who holds the meeting."""

    url: str

    async def admit(self) -> None:
        """Let the bot in."""

    async def deny(self) -> None:
        """Turn the bot away."""

    async def leave(self, who: str) -> None:
        """Somebody else leaves."""

    async def remove(self) -> None:
        """Remove the bot from the call."""

    async def end(self) -> None:
        """End the meeting for all."""

    async def be_out_of_reach(self) -> None:
        """Nothing answers at the meeting's address from now on."""

    async def bot_is_gone(self) -> None:
        """Return once the bot has left by itself."""


class Rehearsed:
    """A meeting of the rehearsal."""

    def __init__(self, meeting: Meeting, page: Page) -> None:
        self._meeting = meeting
        self._page = page
        self.url = meeting.url

    async def admit(self) -> None:
        await self._meeting.asked()
        self._meeting.admit()

    async def deny(self) -> None:
        await self._meeting.asked()
        self._meeting.deny()

    async def leave(self, who: str) -> None:
        self._meeting.leave(who)

    async def remove(self) -> None:
        await self._meeting.joined()
        self._meeting.remove_bot()

    async def end(self) -> None:
        await self._meeting.joined()
        self._meeting.end()

    async def be_out_of_reach(self) -> None:
        await self._page.context.route("**/*", lambda route: route.abort("connectionrefused"))

    async def bot_is_gone(self) -> None:
        assert (await self._meeting.left()).outcome == "left"


class Told:
    """What the fake is told."""

    url = ADDRESS

    def __init__(self, adapter: FakeAdapter) -> None:
        self._adapter = adapter
        self._people = [RosterEntry(participant_id=name, name=name) for name in OTHERS]
        adapter.tell(Waiting())

    async def admit(self) -> None:
        voices = {str(n): MediaSource(participant_id=name) for n, name in enumerate(OTHERS)}
        self._adapter.tell(Admitted(), Sources(audio=voices, video={}), self._roster())

    def _roster(self) -> Roster:
        bot = RosterEntry(participant_id="bot", name=BOT, is_self=True)
        return Roster(entries=(bot, *self._people))

    async def deny(self) -> None:
        self._adapter.tell(Over(reason=EndReason.BOT_NOT_ACCEPTED))

    async def leave(self, who: str) -> None:
        self._people = [one for one in self._people if one.name != who]
        self._adapter.tell(self._roster())

    async def remove(self) -> None:
        self._adapter.tell(Over(reason=EndReason.BOT_REMOVED))

    async def end(self) -> None:
        self._adapter.tell(Over(reason=EndReason.MEETING_ENDED))

    async def be_out_of_reach(self) -> None:
        self._adapter.failures.append(RetriableError("Nothing answers."))

    async def bot_is_gone(self) -> None:
        assert self._adapter.left == 1


class Bot:
    """An adapter at work on a page, and what it has told."""

    def __init__(self, adapter: MeetingAdapter, page: Page, host: Host) -> None:
        self.adapter = adapter
        self.page = page
        self.host = host
        self.told: list[MeetingSignal] = []
        self._signals: AsyncIterator[MeetingSignal] | None = None

    async def join(self) -> None:
        await self.adapter.join(
            self.page, url=self.host.url, bot_name=BOT, mode=RecordingMode.SPEAKER_VIEW
        )

    async def hears(self, of: Callable[[MeetingSignal], bool]) -> None:
        """Return once it has told this."""
        if any(of(one) for one in self.told):
            return
        self._signals = self._signals or self.adapter.signals(self.page)
        async with asyncio.timeout(20):
            async for signal in self._signals:
                self.told.append(signal)
                if of(signal):
                    return
        raise AssertionError(f"only {self.told}")

    async def enter(self) -> None:
        await self.join()
        await self.host.admit()
        await self.hears(lambda one: isinstance(one, Admitted))

    async def ends(self) -> EndReason:
        """Why it is over; nothing follows."""
        await self.hears(lambda one: isinstance(one, Over))
        assert self._signals is not None
        async with asyncio.timeout(5):
            assert [one async for one in self._signals] == []
        (over,) = [one for one in self.told if isinstance(one, Over)]
        return over.reason


@pytest.fixture(params=[*ADAPTERS, None], ids=[*(one.value for one in ADAPTERS), "fake"])
async def bot(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bot]:
    """A bot before its browser's empty page."""
    adapter = FakeAdapter() if request.param is None else ADAPTERS[request.param]()
    recorder = Recorder(order(BOT), tmp_path, adapter, on_failure=pytest.fail)
    await recorder.open()
    async with RehearsalServer(cache_directory=tmp_path / "film") as server:
        browser = bot_browser(
            tmp_path,
            direct_port=recorder.port,
            args=server.browser_args,
            host_rules=server.browser_host_rules,
        )
        async with browser as context:
            await recorder.prepare(context)
            page = context.pages[0]
            if isinstance(adapter, FakeAdapter):
                yield Bot(adapter, page, Told(adapter))
            else:
                assert request.param is Platform.MEET
                script = {
                    "participants": [{"name": name, "video": False} for name in OTHERS],
                    "admission": {"answer": "wait"},
                }
                meeting = await server.hold(Script.model_validate(script))
                yield Bot(adapter, page, Rehearsed(meeting, page))
    await recorder.close()


async def test_the_way_in_is_told_step_by_step(bot: Bot) -> None:
    with capture_logs() as logs:
        await bot.join()
    steps = [JoinStep(line["step"]) for line in logs if line["event"] == "step"]
    assert list(dict.fromkeys(steps)) == list(JoinStep)
    assert sorted(steps, key=list(JoinStep).index) == steps
    await bot.hears(lambda one: isinstance(one, Waiting))
    await bot.host.admit()
    await bot.hears(lambda one: isinstance(one, Admitted))
    kinds = [type(one) for one in bot.told]
    assert kinds.index(Waiting) < kinds.index(Admitted)
    assert kinds.count(Admitted) == 1


def people(roster: Roster) -> set[str]:
    return {one.name for one in roster.entries if not one.is_self}


async def test_it_tells_who_is_there_and_whose_the_voices_are(bot: Bot) -> None:
    await bot.enter()
    await bot.hears(lambda one: isinstance(one, Roster) and people(one) == set(OTHERS))
    await bot.hears(lambda one: isinstance(one, Sources) and bool(one.audio))
    roster = [one for one in bot.told if isinstance(one, Roster)][-1]
    assert [one.name for one in roster.entries if one.is_self] == [BOT]
    identities = [one.participant_id for one in roster.entries]
    assert len(set(identities)) == len(identities)
    sources = [one for one in bot.told if isinstance(one, Sources)]
    assert {one.participant_id for one in sources[-1].audio.values()} <= set(identities)
    await bot.host.leave(OTHERS[0])
    await bot.hears(lambda one: isinstance(one, Roster) and people(one) == {OTHERS[1]})


async def test_turned_away_it_has_never_been_in(bot: Bot) -> None:
    await bot.join()
    await bot.host.deny()
    assert await bot.ends() is EndReason.BOT_NOT_ACCEPTED
    assert not any(isinstance(one, Admitted) for one in bot.told)


async def test_removed_it_says_so_once(bot: Bot) -> None:
    await bot.enter()
    await bot.host.remove()
    assert await bot.ends() is EndReason.BOT_REMOVED


async def test_the_meeting_ends(bot: Bot) -> None:
    await bot.enter()
    await bot.host.end()
    assert await bot.ends() is EndReason.MEETING_ENDED


async def test_it_leaves_by_itself(bot: Bot) -> None:
    await bot.enter()
    await bot.adapter.leave(bot.page)
    await bot.host.bot_is_gone()


async def test_leaving_a_page_that_is_gone_is_no_error(bot: Bot) -> None:
    await bot.join()
    await bot.page.close()
    await bot.adapter.leave(bot.page)


async def test_an_address_where_nothing_answers_may_be_tried_again(bot: Bot) -> None:
    await bot.host.be_out_of_reach()
    with pytest.raises(RetriableError) as refused:
        await bot.join()
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize("adapter", [*ADAPTERS.values(), FakeAdapter])
@given(message=st.text() | st.binary() | st.binary().map(lambda rest: b"\x01" + rest))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_the_page_script_says_is_untrusted(
    adapter: Callable[[], MeetingAdapter], message: str | bytes
) -> None:
    adapter().receive(message)


@pytest.mark.parametrize("platform", ADAPTERS)
def test_it_stands_under_its_own_platform(platform: Platform) -> None:
    assert ADAPTERS[platform]().capabilities.platform is platform
