"""Addresses of meetings: which are recognised, what they become, and what is refused."""

import json

import pytest

from sitin.contract.codes import Platform
from sitin.platforms.urls import LONGEST, is_web_address, recognise
from tests.shared import needs_shared, shared

pytestmark = pytest.mark.unit

THREAD = "19%3ameeting_NjAwMDAw%40thread.v2"
CONTEXT = "%7b%22Tid%22%3a%22t-1%22%2c%22Oid%22%3a%22o-1%22%7d"
TEAMS = (
    "https://teams.microsoft.com/l/meetup-join/19%3Ameeting_NjAwMDAw%40thread.v2/0"
    "?context=%7B%22Tid%22%3A%22t-1%22%2C%22Oid%22%3A%22o-1%22%7D"
)

# Where the peers' parsers disagree, this house decides:
DECIDED: dict[str, Platform | None] = {
    # A Workspace nickname opens for signed-in members of its organisation only; a bot comes as a
    # guest, and a 400 now is kinder than a bot that fails in a minute.
    "https://meet.google.com/our-team-standup": None,
    "https://meet.google.com/ab-cd": None,
    # Neither a code nor, by the rule above, anything else.
    "https://meet.google.com/abc-defg": None,
    "https://meet.google.com/123-4567-890": None,
    # The thread names the meeting. Whether tenant and organiser are needed too is for Teams to say.
    "https://teams.microsoft.com/l/meetup-join/19:meeting_456@thread.v2/0?param=value": (
        Platform.TEAMS
    ),
    # A context that is there and cannot be read is a broken link.
    "https://teams.live.com/l/meetup-join/19%3ameeting_1@thread.v2/0?context=xyz": None,
    # Per registrant, and no meeting's page.
    "https://events.zoom.us/ev/abc123": None,
    # Nothing tells a white-label front from a stranger's page.
    "https://zoom-portal.platform.example.org/meeting/96088138284?password=x": None,
    # The web client's own address, cut short behind the id.
    "https://app.zoom.us/wc/79642156509/": Platform.ZOOM,
    # A personal link is a meeting, though only Zoom knows its id.
    "https://company.zoom.us/my/some.person.room": Platform.ZOOM,
}


@pytest.mark.parametrize(
    ("given", "normalised"),
    [
        ("https://meet.google.com/abc-defg-hij", "https://meet.google.com/abc-defg-hij"),
        ("meet.google.com/ABC-DEFG-HIJ?authuser=1", "https://meet.google.com/abc-defg-hij"),
        ("<http://meet.google.com/_meet/abc-defg-hij>", "https://meet.google.com/abc-defg-hij"),
        ("https%3A%2F%2Fmeet.google.com%2Fabc-defg-hij", "https://meet.google.com/abc-defg-hij"),
        (
            "https://www.google.com/url?q=https://meet.google.com/abc-defg-hij&sa=D",
            "https://meet.google.com/abc-defg-hij",
        ),
        (
            (
                "https://eur01.safelinks.protection.outlook.com/?url="
                "https%3A%2F%2Fwww.google.com%2Furl%3Fq%3Dhttps%3A%2F%2Fmeet.google.com%2Fabc-defg-hij"
            ),
            "https://meet.google.com/abc-defg-hij",
        ),
        (f"https://teams.microsoft.com/l/meetup-join/{THREAD}/0?context={CONTEXT}", TEAMS),
        (f"https://teams.microsoft.com/_#/l/meetup-join/{THREAD}/0?context={CONTEXT}", TEAMS),
        (
            (
                "https://teams.microsoft.com/v2/?meetingjoin=true#/l/meetup-join/"
                f"{THREAD}/0?context={CONTEXT}&anon=true"
            ),
            TEAMS,
        ),
        (
            (
                "https://teams.microsoft.com/dl/launcher/launcher.html?url=/_#/l/meetup-join/"
                f"{THREAD}/0?context={CONTEXT}&type=meetup-join"
            ),
            TEAMS,
        ),
        (
            (
                "https://visit.teams.microsoft.com/?JoinWebUrl=https%3A%2F%2Fteams.microsoft.com"
                "%2Fmeet%2F33749853217630%3Fp%3DAbCd"
            ),
            "https://teams.microsoft.com/meet/33749853217630?p=AbCd",
        ),
        (
            "https://us02web.zoom.us/j/85000000000?pwd=Ab.1",
            "https://zoom.us/j/85000000000?pwd=Ab.1",
        ),
        ("https://x.zoomgov.com/j/85000000000", "https://zoomgov.com/j/85000000000"),
        (
            "https://us06web.zoom.us/j/88240000000 (Passcode: 584706)",
            "https://zoom.us/j/88240000000?pwd=584706",
        ),
        # A registrant's link is theirs alone: host, kind and token stay.
        (
            "https://acme.zoom.us/w/111222333?tk=Ab.DQ&pwd=x",
            "https://acme.zoom.us/w/111222333?pwd=x&tk=Ab.DQ",
        ),
    ],
)
def test_the_same_meeting_has_one_address(given: str, normalised: str) -> None:
    found = recognise(given)
    assert found is not None
    assert found.url == normalised
    assert recognise(found.url) == found, "normalising twice changes nothing"


@pytest.mark.parametrize(
    "given",
    [
        "",
        "abc-defg-hij",
        "not a url",
        "ftp://meet.google.com/abc-defg-hij",
        "https://meet.google.com:444/abc-defg-hij",
        "https://user@meet.google.com/abc-defg-hij",
        "https://meet.google.com@evil.example/abc-defg-hij",
        "https://meet.google.com.evil.example/abc-defg-hij",
        "https://evil.example/?url=https://meet.google.com/abc-defg-hij",
        "https://meet.google.com/lookup/abc-defg-hij",
        "https://meet.google.com/abc-defg-hij/https://evil.example",
        "https://meet.google.com/abc-defg-hi\u006a\u0301",
        "https://meet.google.com/abc-defg-hij\n",
        "https://meet.google.com/abc-\x00defg-hij",
        "https://[::1/abc-defg-hij",
        "https://notzoom.us/j/123456789",
        "https://zoom.us/j/12345678",
        "https://zoom.us/j/１２３４５６７８９",
        "https://zoom.us/webinar/register/WN_AbCdEf",
        "https://teams.microsoft.com/l/chat/19:x@thread.v2/0",
        "https://evilteams.live.com/meet/123",
        "https://teams.microsoft.com/light-meetings/launch?coords=bm90IGpzb24",
        "https://www.google.com/url?q=" * 8 + "https://meet.google.com/abc-defg-hij",
        "https://meet.google.com/" + "a" * LONGEST,
    ],
)
def test_what_is_no_meeting_is_refused(given: str) -> None:
    assert recognise(given) is None


@pytest.mark.parametrize(("url", "platform"), DECIDED.items())
def test_disputed_addresses_are_decided(url: str, platform: Platform | None) -> None:
    found = recognise(url)
    assert (found.platform if found else None) == platform


@needs_shared("facts", "url-cases.json")
def test_every_case_of_the_facts() -> None:
    path = shared("facts", "url-cases.json")
    assert path is not None
    for case in json.loads(path.read_text()):
        found = recognise(case["url"])
        expected = DECIDED.get(case["url"].replace("example-passcode", "x"), case["platform"])
        assert (found.platform if found else None) == expected, case["url"]


def test_a_web_address_is_told_from_other_text() -> None:
    assert is_web_address("https://example.com/meeting/123")
    assert not is_web_address("meeting 123")
    assert not is_web_address("javascript:alert(1)")
