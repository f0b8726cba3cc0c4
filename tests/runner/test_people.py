"""Persons behind the platform's ids: who comes back is the same, who is there twice is two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.contract.meeting import UNNAMED, Roster, RosterEntry
from sitin.runner.people import People, others_of

pytestmark = pytest.mark.unit


def entry(device: str, name: str, picture: str = "") -> RosterEntry:
    return RosterEntry(participant_id=device, name=name, picture=picture)


def ben(device: str, picture: str = "") -> RosterEntry:
    return entry(device, "Ben", picture)


class Room:
    """People, and what they told of each roster."""

    def __init__(self) -> None:
        self.people = People()
        self.told: list[str] = []

    def roster(self, *entries: RosterEntry) -> dict[str, str]:
        arrivals, departures = self.people.update(entries)
        self.told += [f"+{one.participant_id} {one.name} by {one.device_id}" for one in arrivals]
        self.told += [f"-{one}" for one in departures]
        return self.people.present


def test_who_comes_back_is_the_same_person() -> None:
    room = Room()
    assert room.roster(entry("1", "Ada"), ben("2")) == {"1": "Ada", "2": "Ben"}
    assert room.roster(entry("1", "Ada")) == {"1": "Ada"}
    assert room.roster(entry("1", "Ada"), ben("3")) == {"1": "Ada", "2": "Ben"}
    assert [room.people.participant_of(one) for one in ("1", "2", "3", "4")] == ["1", "2", "2", "4"]
    assert room.told == ["+1 Ada by 1", "+2 Ben by 2", "-2", "+2 Ben by 3"]


def test_who_comes_back_within_one_roster_never_left() -> None:
    room = Room()
    room.roster(ben("2"))
    assert room.roster(ben("3")) == {"2": "Ben"}
    assert room.told == ["+2 Ben by 2", "+2 Ben by 3"]


def test_two_of_one_name_who_are_there_at_once_are_two() -> None:
    room = Room()
    assert room.roster(ben("2"), ben("3")) == {"2": "Ben", "3": "Ben"}
    room.roster(ben("3"))
    assert room.roster(ben("3"), ben("4")) == {"2": "Ben", "3": "Ben"}, "the one who had left"
    assert room.roster(ben("3"), ben("4"), ben("5")) == {"2": "Ben", "3": "Ben", "5": "Ben"}
    room.roster()
    assert room.roster(ben("6"), ben("7")).keys() <= {"2", "3", "5"}


def test_of_two_who_left_the_last_one_comes_back() -> None:
    room = Room()
    room.roster(ben("2"), ben("3"))
    room.roster(ben("2"))
    room.roster()
    assert room.roster(ben("4")) == {"2": "Ben"}


@pytest.mark.parametrize("other", [entry("3", "Ben Okafor"), ben("3", "https://pictures/2")])
def test_another_name_or_picture_is_another_person(other: RosterEntry) -> None:
    room = Room()
    room.roster(ben("2", "https://pictures/1"))
    room.roster()
    assert room.roster(other) == {"3": other.name}


def test_a_person_is_known_by_the_name_shown_last() -> None:
    room = Room()
    room.roster(ben("2"))
    room.roster(entry("2", "Ben Okafor"))
    room.roster()
    assert room.roster(entry("3", "Ben Okafor")) == {"2": "Ben Okafor"}
    assert room.told[1] == "+2 Ben Okafor by 2"


def test_two_without_a_name_are_not_taken_for_one() -> None:
    room = Room()
    room.roster(entry("2", UNNAMED))
    room.roster()
    assert room.roster(entry("3", UNNAMED)) == {"3": UNNAMED}


def test_an_id_that_returns_beside_its_successor_is_somebody_else() -> None:
    room = Room()
    room.roster(ben("2"))
    room.roster(ben("3"))
    present = room.roster(ben("2"), ben("3"))
    assert sorted(present.values()) == ["Ben", "Ben"]
    assert room.people.participant_of("3") == "2"
    assert room.people.participant_of("2") != "2"


def test_the_bot_and_presented_screens_are_nobody() -> None:
    screen = RosterEntry(participant_id="4", name="Ada", is_presentation_of="1")
    own = RosterEntry(participant_id="9", name="Notes", is_self=True)
    assert others_of(Roster(entries=(own, entry("1", "Ada"), screen))) == [entry("1", "Ada")]


@given(
    st.lists(
        st.dictionaries(st.sampled_from("123456"), st.sampled_from(["Ada", "Ben"]), max_size=6),
        max_size=12,
    )
)
def test_as_many_are_there_as_the_platform_lists(rosters: list[dict[str, str]]) -> None:
    people = People()
    told: dict[str, str] = {}
    for roster in rosters:
        arrivals, departures = people.update([entry(*one) for one in roster.items()])
        told |= {one.participant_id: one.name for one in arrivals}
        for gone in departures:
            del told[gone]
        assert sorted(people.present.values()) == sorted(roster.values())
        assert len({people.participant_of(one) for one in roster}) == len(roster)
        assert told == people.present
