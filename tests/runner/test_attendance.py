"""When a bot leaves by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.contract.codes import EndReason
from sitin.contract.spec import Timeouts
from sitin.runner.attendance import Attendance
from sitin.runner.note_takers import NOTE_TAKERS, check_pattern, is_note_taker

pytestmark = pytest.mark.unit

LIMITS = Timeouts(waiting_room=600, no_one_joined=120, silence=300, alone=60, recording=3600)
Event = tuple[float, str]


def leaves(events: list[Event], *, until: float = 5000) -> tuple[float, EndReason]:
    """When and why it leaves, looking every half second."""
    attendance = Attendance(LIMITS, 0.0)
    pending = sorted(events)
    now = 0.0
    while now <= until:
        while pending and pending[0][0] <= now:
            at, what = pending.pop(0)
            if what == "heard":
                attendance.heard(at)
            else:
                attendance.present({one: one for one in what.split()}, at)
        reason = attendance.reason_to_leave(now)
        if reason is not None:
            return now, reason
        now += 0.5
    raise AssertionError("it never leaves")


def talk(start: float, end: float) -> list[Event]:
    return [(start + n * 10.0, "heard") for n in range(int((end - start) / 10) + 1)]


def test_nobody_joined() -> None:
    assert leaves([]) == (120, EndReason.NO_ATTENDEES)
    assert leaves([(0.0, ""), (60.0, "")]) == (120, EndReason.NO_ATTENDEES)


def test_who_was_heard_was_there_whatever_the_roster_says() -> None:
    assert leaves([(100.0, "heard")]) == (400, EndReason.NO_SPEAKER)


def test_alone_after_others_were_there() -> None:
    assert leaves([(1.0, "ada"), *talk(1, 200), (200.0, "")]) == (260, EndReason.NO_ATTENDEES)


def test_others_who_come_back_in_time_are_not_left() -> None:
    events = [
        (1.0, "ada"),
        *talk(1, 100),
        (100.0, ""),
        (159.0, "ada"),
        *talk(160, 400),
        (400.0, ""),
    ]
    assert leaves(events) == (460, EndReason.NO_ATTENDEES)


def test_the_clock_of_being_alone_begins_anew() -> None:
    events = [(1.0, "a"), *talk(1, 300), (100.0, ""), (150.0, "a"), (160.0, "")]
    assert leaves(events) == (220, EndReason.NO_ATTENDEES)


def test_a_roster_told_twice_changes_nothing() -> None:
    events = [(1.0, "a"), *talk(1, 100), (100.0, ""), (130.0, ""), (150.0, "")]
    assert leaves(events) == (160, EndReason.NO_ATTENDEES)


def test_silence_counts_once_somebody_was_there() -> None:
    assert leaves([(100.0, "ada")]) == (400, EndReason.NO_SPEAKER)
    assert leaves([(1.0, "ada"), *talk(50, 1000)]) == (1300, EndReason.NO_SPEAKER)


def test_the_longest_recording() -> None:
    assert leaves([(1.0, "ada"), *talk(1, 5000)]) == (3600, EndReason.RECORDING_TIMEOUT)


@given(
    st.lists(
        st.tuples(st.floats(0, 4000), st.sampled_from(["heard", "", "ada", "ada ben"])), max_size=30
    )
)
def test_it_always_leaves_and_never_while_somebody_there_speaks(events: list[Event]) -> None:
    at, reason = leaves(events)
    assert at <= LIMITS.recording
    before = [(when, what) for when, what in events if when <= at]
    if reason is EndReason.NO_SPEAKER:
        heard = [when for when, what in before if what == "heard"]
        assert all(at - when >= LIMITS.silence for when in heard)
    if reason is EndReason.NO_ATTENDEES:
        rosters = sorted(one for one in before if one[1] != "heard")
        assert not rosters or rosters[-1][1] == ""


def company(note_takers: tuple[str, ...] = ()) -> Attendance:
    return Attendance(LIMITS, 0.0, note_takers=note_takers)


def leaves_at(attendance: Attendance, *, since: float) -> tuple[float, EndReason]:
    """When and why it leaves if nothing more happens, looking every second."""
    now = since
    while (reason := attendance.reason_to_leave(now)) is None:
        now += 1.0
        assert now < 5000
    return now, reason


def test_another_bot_is_no_company() -> None:
    attendance = company()
    attendance.present({"a": "Ada", "b": "Notes"}, 1.0)
    attendance.bots({"b"})
    attendance.present({"b": "Notes"}, 100.0)
    assert leaves_at(attendance, since=100.0) == (160.0, EndReason.NO_ATTENDEES)


def test_another_bot_is_nobody_who_joined() -> None:
    attendance = company()
    attendance.present({"b": "Notes"}, 1.0)
    attendance.bots({"b"})
    assert leaves_at(attendance, since=1.0) == (120.0, EndReason.NO_ATTENDEES)


def test_a_bot_that_is_told_of_late_never_was_company() -> None:
    attendance = company()
    attendance.present({"a": "Ada"}, 1.0)
    attendance.present({}, 100.0)
    attendance.present({"b": "Notes"}, 150.0)
    attendance.bots({"b"})
    assert leaves_at(attendance, since=150.0) == (160.0, EndReason.NO_ATTENDEES)


def test_a_bot_that_has_left_is_forgotten_by_nobody() -> None:
    attendance = company()
    attendance.bots({"b"})
    attendance.present({"a": "Ada", "b": "Notes"}, 1.0)
    attendance.present({"b": "Notes"}, 100.0)
    attendance.bots(set())
    attendance.present({}, 150.0)
    assert leaves_at(attendance, since=150.0) == (160.0, EndReason.NO_ATTENDEES)


def test_a_person_with_the_name_of_a_bot_is_company() -> None:
    attendance = company()
    attendance.present({"a": "Notes", "b": "Notes"}, 1.0)
    attendance.bots({"b"})
    assert leaves_at(attendance, since=1.0) == (301.0, EndReason.NO_SPEAKER)


@pytest.mark.parametrize("name", ["Fireflies.ai Notetaker Ada", "ada's OTTERPILOT", "Otter.ai"])
def test_a_note_taker_is_no_company(name: str) -> None:
    attendance = company(NOTE_TAKERS)
    attendance.present({"a": "Ada", "n": name}, 1.0)
    attendance.present({"n": name}, 100.0)
    assert leaves_at(attendance, since=100.0) == (160.0, EndReason.NO_ATTENDEES)


def test_who_shows_a_note_takers_name_a_moment_later_never_was_company() -> None:
    attendance = company(("*recorder*",))
    attendance.present({"n": "Guest"}, 1.0)
    attendance.present({"n": "The Recorder"}, 2.0)
    assert leaves_at(attendance, since=2.0) == (120.0, EndReason.NO_ATTENDEES)


@pytest.mark.parametrize("name", ["Ada Martin", "Otto", "Fred Fathom", "Notes", "Reader", ""])
def test_people_are_no_note_takers(name: str) -> None:
    assert not is_note_taker(name, NOTE_TAKERS)


def test_a_bracket_in_a_pattern_is_a_bracket() -> None:
    assert is_note_taker("Notes [bot]", ("* [bot]",))
    assert not is_note_taker("Notes b", ("* [bot]",))


@pytest.mark.parametrize("pattern", ["*", "**", "?*?", "a*", "*ab*", "  "])
def test_a_pattern_that_matches_nearly_everybody_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="would match too many names"):
        check_pattern(pattern)
