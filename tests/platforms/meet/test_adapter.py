"""The bot before Google Meet's door, in every variant of the page that the rehearsal has."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from sitin.contract.codes import RecordingMode
from sitin.contract.failures import RetriableError
from sitin.contract.meeting import Admitted, MeetingSignal, Roster
from sitin.platforms.meet import facts
from sitin.platforms.meet.adapter import MeetAdapter
from sitin.rehearsal import Meeting, RehearsalServer, Script
from sitin.runner.recorder import Recorder
from tests.runner.conftest import bot_browser
from tests.runner.host import order

pytestmark = pytest.mark.e2e

BOT = "Note taker"


class Guest:
    """An adapter and its page."""

    def __init__(self, adapter: MeetAdapter, page: Page, server: RehearsalServer) -> None:
        self.adapter = adapter
        self.page = page
        self._server = server

    async def hold(self, **script: Any) -> Meeting:
        people = [{"name": "Ada Martin", "video": False}]
        return await self._server.hold(Script.model_validate({"participants": people} | script))

    async def join(self, meeting: Meeting) -> None:
        await self.adapter.join(
            self.page, url=meeting.url, bot_name=BOT, mode=RecordingMode.AUDIO_ONLY
        )

    async def hears(self, kind: type[MeetingSignal]) -> None:
        async for signal in self.adapter.signals(self.page):
            if isinstance(signal, kind):
                return

    async def sees(self, names: set[str]) -> None:
        """Return once it has told that these are in the meeting with it."""
        async for signal in self.adapter.signals(self.page):
            if isinstance(signal, Roster) and names == {
                one.name for one in signal.entries if not one.is_self
            }:
                assert [one.name for one in signal.entries if one.is_self] == [BOT]
                return

    async def labels(self) -> set[str]:
        """What the switches of the page offer."""
        return {
            await one.get_attribute("aria-label") or ""
            for one in await self.page.locator('[aria-label^="Turn "]').all()
        }


@pytest.fixture
def changed_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meet calls its channels by other names since today."""
    monkeypatch.setattr(facts, "COLLECTIONS_CHANNEL", "another")
    monkeypatch.setattr(facts, "SYNC_REQUEST", "AnotherRequest")
    monkeypatch.setattr(facts, "TILES_AFTER", 1.0)


@pytest.fixture
async def guest(tmp_path: Path) -> AsyncIterator[Guest]:
    adapter = MeetAdapter()
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
            yield Guest(adapter, context.pages[0], server)
    await recorder.close()


VARIANTS: list[dict[str, Any]] = [
    {
        "dialogs": ["devices", "got_it", "escape"],
        "name_field": "placeholder",
        "join_button": "Join here too",
    },
    {
        "dialogs": ["escape"],
        "name_field": "plain",
        "microphone_on": False,
        "camera_on": False,
        "second_join": True,
    },
    {"audio_elements": False, "consent": "gemini", "curly_apostrophes": True},
]


@pytest.mark.parametrize("prejoin", VARIANTS)
async def test_it_comes_in_with_its_devices_off(guest: Guest, prejoin: dict[str, Any]) -> None:
    meeting = await guest.hold(prejoin=prejoin)
    await guest.join(meeting)
    await guest.hears(Admitted)
    assert (await meeting.joined()).name == BOT
    assert {"Turn on microphone", "Turn on camera"} <= await guest.labels()


async def test_a_switch_that_ignores_clicks_is_clicked_again(guest: Guest) -> None:
    await guest.page.add_init_script(
        """
        let ignored = 0;
        addEventListener("click", (event) => {
          const label = event.target.closest("button")?.ariaLabel ?? "";
          if (label.startsWith("Turn off") && ignored++ < 2) event.stopImmediatePropagation();
        }, true);
        """
    )
    await guest.join(await guest.hold())
    await guest.hears(Admitted)
    assert {"Turn on microphone", "Turn on camera"} <= await guest.labels()


@pytest.mark.parametrize(
    "script",
    [{"entrance": "cannot_join"}, {"admission": {"answer": "connection_problem"}}],
    ids=["at the door", "after asking"],
)
async def test_not_let_in_it_may_be_at_the_next_try(guest: Guest, script: dict[str, Any]) -> None:
    with pytest.raises(RetriableError, match="does not let this guest join"):
        await guest.join(await guest.hold(**script))
    await guest.join(await guest.hold())
    await guest.hears(Admitted)


@pytest.mark.parametrize(
    ("mode", "before", "shows"),
    [
        (RecordingMode.GALLERY_VIEW, "spotlight", ".grid:not(.one-large)"),
        (RecordingMode.SPEAKER_VIEW, "spotlight", ".grid.one-large:not(.alone)"),
    ],
)
async def test_the_call_is_laid_out_as_it_is_recorded(
    guest: Guest, mode: RecordingMode, before: str, shows: str
) -> None:
    speech = {"at": 0, "do": "say", "who": "Ada Martin", "text": "Who is to be seen?"}
    meeting = await guest.hold(prejoin={"layout": before}, timeline=[speech])
    await guest.join(meeting)
    await guest.hears(Admitted)
    await guest.page.locator(".grid.one-large.alone").wait_for()
    await guest.adapter.arrange(guest.page, mode)
    await guest.page.locator(shows).wait_for()
    assert await guest.page.locator('[role="dialog"], [role="menu"]').count() == 0


async def test_a_page_without_layouts_stays_as_it_is(guest: Guest) -> None:
    await guest.adapter.arrange(guest.page, RecordingMode.GALLERY_VIEW)
    await guest.page.close()
    await guest.adapter.arrange(guest.page, RecordingMode.GALLERY_VIEW)


@pytest.mark.usefixtures("changed_channels")
async def test_the_tiles_tell_who_is_there_where_the_channels_do_not(guest: Guest) -> None:
    people = [{"name": name, "video": False} for name in ("Ada Martin", "Ben Okafor")]
    meeting = await guest.hold(participants=people)
    await guest.join(meeting)
    await guest.sees({"Ada Martin", "Ben Okafor"})
    meeting.leave("Ada Martin")
    await guest.sees({"Ben Okafor"})


async def test_tiles_that_make_no_sense_and_late_ones_change_nothing(guest: Guest) -> None:
    await guest.join(await guest.hold())
    await guest.sees({"Ada Martin"})
    for tiles in (
        "[]",
        '[{"id": 1, "name": "Eve"}]',
        '[{"id": "1", "name": "Eve", "self": false}]',
    ):
        guest.adapter.receive(f'{{"tiles": {tiles}}}')
        guest.adapter.receive(f'{{"tiles":{tiles}}}')
    assert {one.name for one in guest.adapter._roster.roster().entries} == {"Ada Martin", BOT}
