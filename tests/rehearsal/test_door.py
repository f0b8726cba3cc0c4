"""Everything that can happen before, at and after the door, with a real browser."""

import asyncio
import re
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from sitin.rehearsal import ControlError, RehearsalServer
from tests.rehearsal.conftest import Arrive, Hold
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

LEAVE = 'button[jsname="CQylAd"][aria-label="Leave call"]'


async def test_from_the_lobby_into_the_call_and_out_again(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(admission={"answer": "wait"})
    guest = await arrive(meeting)
    await guest.sees('input[type="text"][aria-label="Your name"]')
    await guest.page.get_by_label("Turn off microphone").click()
    await guest.page.get_by_label("Turn off camera").click()
    await guest.sees('[aria-label="Turn on microphone"]')
    await guest.sees('[aria-label="Turn on camera"]')
    await guest.ask("Grace")
    visit = await meeting.asked()
    assert visit.name == "Grace"
    await guest.reads("Asking to be let in")
    await guest.reads("Please wait until a meeting host brings you into the call")
    await guest.reads("Return to home screen")
    await guest.sees(LEAVE)
    await guest.sees("[data-self-name]")
    meeting.admit()
    await meeting.joined()
    await guest.sees('button[aria-label="Turn on captions"]')
    await guest.sees('div[role="region"][aria-label="Call controls"]')
    for label in ("Chat with everyone", "Send a reaction", "Meeting details", "Meeting tools"):
        await guest.sees(f'button[aria-label="{label}"]')
    await guest.leave()
    assert (await meeting.left()).outcome == "left"
    await guest.reads("You left the meeting")


@pytest.mark.parametrize(
    ("control", "text"),
    [
        ("denied", "Someone in the call denied your request to join"),
        ("no_response", "No one responded to your request to join the call"),
        ("cannot_join", "You can't join this video call"),
        ("connection_problem", "There is a problem connecting to this video call"),
    ],
)
async def test_being_turned_away_says_why(
    hold: Hold, arrive: Arrive, control: Any, text: str
) -> None:
    meeting = await hold(admission={"answer": "wait"})
    guest = await arrive(meeting)
    await guest.ask()
    await meeting.asked()
    meeting.refuse(control)
    await guest.reads(text)
    assert (await meeting.left()).outcome == control
    with pytest.raises(ControlError, match="nobody of that kind is waiting"):
        meeting.admit()


async def test_the_script_answers_by_itself(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(
        admission={"answer": "deny", "after": 0.3}, prejoin={"curly_apostrophes": True}
    )
    guest = await arrive(meeting)
    await guest.ask()
    await guest.reads("Someone in the call denied your request to join")
    visit = await meeting.left()
    assert visit.left_at is not None
    assert (visit.left_at - visit.asked_at).total_seconds() >= 0.3


async def test_waiting_for_the_host_comes_before_the_lobby(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(admission={"answer": "wait", "host_arrives_after": None})
    guest = await arrive(meeting)
    await guest.ask()
    await guest.reads("Waiting for the host to join")
    meeting.host_arrives()
    await guest.reads("Asking to be let in")


@pytest.mark.parametrize(
    ("entrance", "texts"),
    [
        ("cannot_join", ["You can’t join this video call"]),
        ("sign_in", ["Sign in with your Google Account"]),
        ("not_found", ["Check your meeting code", "The meeting code you entered doesn’t work"]),
        ("expired", ["Your meeting code has expired"]),
        ("invalid_name", ["Invalid video call name"]),
    ],
)
async def test_closed_entrances_say_why(
    hold: Hold, arrive: Arrive, entrance: str, texts: list[str]
) -> None:
    meeting = await hold(entrance=entrance, prejoin={"curly_apostrophes": True})
    guest = await arrive(meeting)
    for text in texts:
        await guest.reads(text)
    await expect(guest.page.locator("input")).to_have_count(0)


async def test_signing_in_is_a_page_of_another_host(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(entrance="sign_in_redirect")
    guest = await arrive(meeting)
    await expect(guest.page).to_have_url(re.compile("https://accounts.google.com/"))
    await expect(guest.page.locator("h1")).to_contain_text("your Google Account")


async def test_a_code_without_a_script_is_not_found(browser: Browser) -> None:
    page = await browser.new_page()
    await page.goto("https://meet.google.com/xxx-xxxx-xxx")
    await page.get_by_text("Check your meeting code").wait_for()
    await page.close()


async def test_only_the_visible_captcha_is_large(hold: Hold, arrive: Arrive) -> None:
    open_door = await arrive(await hold())
    await open_door.sees('input[type="text"]')
    unseen = await open_door.page.locator('iframe[src*="recaptcha"]').bounding_box()
    assert unseen is None or unseen["width"] < 120
    guest = await arrive(await hold(entrance="captcha"))
    await guest.until(
        """() => [...document.querySelectorAll('iframe[src*="recaptcha"]')]
            .map((frame) => frame.getBoundingClientRect())
            .some(({ width, height }) => width >= 120 && height >= 40)"""
    )


async def test_dialogs_stand_in_the_way_until_dismissed(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(
        prejoin={
            "dialogs": ["devices", "got_it", "escape"],
            "name_field": "plain",
            "join_button": "Join now",
        }
    )
    guest = await arrive(meeting)
    for button in ("Continue without microphone and camera", "Got it"):
        await guest.sees('[role="dialog"][aria-modal="true"]')
        await guest.page.get_by_role("button", name=button).click()
    await guest.sees('[role="dialog"][aria-label="Others may see your video differently"]')
    await guest.page.keyboard.press("Escape")
    await expect(guest.page.locator('[role="dialog"]')).to_have_count(0)
    await guest.ask(button="Join now")
    await meeting.joined()


async def test_a_click_that_nobody_made_is_ignored(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(admission={"answer": "wait"})
    guest = await arrive(meeting)
    await guest.page.get_by_label("Your name").fill("Robot")
    # The real click is the fence: when it has arrived, the synthetic one before it had its time.
    await guest.page.evaluate(
        "[...document.querySelectorAll('button')].find(b => b.innerText === 'Ask to join').click()"
    )
    await guest.page.get_by_label("Your name").fill("Person")
    await guest.page.get_by_role("button", name="Ask to join", exact=True).click()
    assert (await meeting.asked()).name == "Person"


async def test_the_second_door_and_the_consent(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold(prejoin={"second_join": True, "consent": "gemini"})
    guest = await arrive(meeting)
    await guest.ask()
    await guest.page.get_by_role("button", name="Join now").click()
    await meeting.joined()
    dialog = guest.page.locator('div[aria-modal="true"][role="dialog"]')
    await expect(dialog).to_contain_text("Gemini is taking notes")
    await dialog.locator('button[data-mdc-dialog-action="ok"]').click()
    await dialog.wait_for(state="detached")


async def test_being_removed_is_told_by_roster_and_screen(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold()
    guest = await arrive(meeting)
    await guest.enter(meeting, "Grace")
    meeting.remove_bot()
    await guest.sees(".roSPhc")
    await guest.reads("You've been removed from the meeting")
    await guest.roster(
        lambda roster: (
            [(one.full_name, one.status) for one in roster.users.values() if one.HasField("self")]
            == [("Grace", 7)]
        )
    )
    assert (await meeting.left()).outcome == "removed"


async def test_the_end_is_told_and_the_code_expires(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold()
    guest = await arrive(meeting)
    await guest.enter(meeting)
    meeting.end()
    await guest.sees(".roSPhc")
    await guest.reads("Your host ended the meeting for everyone")
    await meeting.ended()
    assert meeting.state.participants == ()
    late = await arrive(meeting)
    await late.reads("Your meeting code has expired")


@pytest.mark.parametrize("second_join", [False, True])
async def test_an_ended_meeting_leaves_no_task_behind(
    hold: Hold, arrive: Arrive, second_join: bool
) -> None:
    def tasks() -> set[asyncio.Task[Any]]:
        return {task for task in asyncio.all_tasks() if not task.done()}

    before = tasks()
    meeting = await hold(
        timeline=[
            {"at": 0, "do": "present", "who": "Ben Okafor"},
            {"at": 1, "do": "say", "who": "Ada Martin", "text": "This takes a while to say."},
            {"at": 600, "do": "say", "who": "Ada Martin", "text": "This is never said."},
        ],
        prejoin={"second_join": second_join},
    )
    inside, at_the_second_door, outside = [await arrive(meeting) for _ in range(3)]
    await inside.ask()
    if second_join:
        await inside.page.get_by_role("button", name="Join now", exact=True).click()
    await meeting.joined()
    if second_join:
        await at_the_second_door.ask("Grace")
        await at_the_second_door.page.get_by_role("button", name="Join now").wait_for()
    await meeting.reached(1.5)
    meeting.end()
    await meeting.left()
    await inside.reads("Your host ended the meeting for everyone")
    async with asyncio.timeout(20):
        await meeting.played()
    with pytest.raises(ControlError, match="has ended"):
        meeting.join("Ada Martin")
    for guest in (inside, at_the_second_door, outside):
        await guest.page.close()
    await until(lambda: not tasks() - before - {asyncio.current_task()})


async def test_closing_a_meeting_ends_it_for_its_visitors(
    server: RehearsalServer, hold: Hold, arrive: Arrive
) -> None:
    meeting = await hold()
    guest = await arrive(meeting)
    await guest.enter(meeting)
    await server.hold(meeting.script)  # takes its place
    await guest.reads("Your host ended the meeting for everyone")
    assert meeting.truth.visits[0].outcome == "ended"


async def test_a_page_that_goes_away_is_noticed(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold()
    guest = await arrive(meeting)
    await guest.enter(meeting)
    await guest.page.close()
    assert (await meeting.left()).outcome == "gone"


async def test_a_visitor_can_come_again(hold: Hold, arrive: Arrive) -> None:
    meeting = await hold()
    guest = await arrive(meeting)
    await guest.enter(meeting)
    await guest.leave()
    await meeting.left()
    await guest.page.get_by_role("button", name="Rejoin").click()
    await guest.enter(meeting)
    visits = meeting.truth.visits
    assert [visit.outcome for visit in visits] == ["left", "in_call"]
    assert visits[0].device_id != visits[1].device_id
