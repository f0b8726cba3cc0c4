"""Who may have requests under way."""

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.kit.ids import new_id
from sitin.notifications.places import LANE_WIDTH, PROCESS_WIDTH, TEAM_WIDTH, Places
from sitin.notifications.store import DueLane

pytestmark = pytest.mark.unit

teams = st.lists(
    st.tuples(st.integers(1, 200), st.integers(1, LANE_WIDTH + 1)), min_size=1, max_size=30
)
"""For each team how many lanes it has, and how much is due in each."""


def lanes_of(shape: list[tuple[int, int]]) -> list[DueLane]:
    return [
        DueLane(team, new_id(), due)
        for team, (lanes, due) in ((new_id(), one) for one in shape)
        for _ in range(lanes)
    ]


def by_team(share: list[tuple[DueLane, int]]) -> Counter[UUID]:
    counts: Counter[UUID] = Counter()
    for lane, places in share:
        counts[lane.team_id] += places
    return counts


@given(teams, teams)
def test_no_bound_is_passed_and_no_place_left_empty(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    places, due = Places(), lanes_of(first)
    held: Counter[UUID] = Counter()
    for due_now in (due, due + lanes_of(second)):
        share = places.share(due_now)
        for lane, count in share:
            assert 0 < count <= lane.due
            for _ in range(count):
                places.hold(lane.team_id, lane.lane)
            held[lane.lane] += count
        under_way = by_team([(lane, held[lane.lane]) for lane in due_now])
        assert max(held.values(), default=0) <= LANE_WIDTH
        assert max(under_way.values(), default=0) <= TEAM_WIDTH
        assert places.taken == held.total() <= PROCESS_WIDTH
        given = dict(share)
        for lane in due_now:
            left = lane.due > given.get(lane, 0)
            full = (
                held[lane.lane] == LANE_WIDTH
                or under_way[lane.team_id] == TEAM_WIDTH
                or places.taken == PROCESS_WIDTH
            )
            assert full or not left


@given(st.integers(9, 40))
def test_what_is_short_is_shared_among_teams(count: int) -> None:
    share = by_team(Places().share(lanes_of([(TEAM_WIDTH, LANE_WIDTH)] * count)))
    assert share.total() == PROCESS_WIDTH
    assert max(share.values()) - min(share.values()) <= 1


def test_a_newcomer_comes_before_who_has_much_already() -> None:
    places = Places()
    hoarders = lanes_of([(TEAM_WIDTH // LANE_WIDTH, LANE_WIDTH)] * 8)
    for lane, count in places.share(hoarders):
        for _ in range(count):
            places.hold(lane.team_id, lane.lane)
    assert places.taken == PROCESS_WIDTH
    freed = hoarders[0]
    places.free(freed.team_id, freed.lane)
    (newcomer,) = lanes_of([(1, 1)])
    assert places.share([*hoarders, newcomer]) == [(newcomer, 1)]
