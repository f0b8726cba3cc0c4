"""Who may have requests under way: bounds per lane, per team and per process. Used by dispatch.

A destination that hangs holds its requests for the whole of their time. What bounds it is not the
time but how many places it can hold, so that the others always find some.
"""

import heapq
from collections import Counter as Tally
from collections import defaultdict, deque
from collections.abc import Sequence
from uuid import UUID

from sitin.notifications.store import DueLane

LANE_WIDTH = 4
"""Requests under way per lane and process: one endpoint, or one host of a team's callbacks."""
TEAM_WIDTH = 64
"""The same per team: a team with many hosts that hang leaves seven eighths to the others."""
PROCESS_WIDTH = 512
"""The same in all: well below the 1,024 open files that a process has by default."""


class Places:
    """The places of one process."""

    def __init__(self) -> None:
        self._lanes: Tally[UUID] = Tally()
        self._teams: Tally[UUID] = Tally()

    @property
    def taken(self) -> int:
        """Requests under way."""
        return self._teams.total()

    def hold(self, team_id: UUID, lane: UUID) -> None:
        """Take a place."""
        self._lanes[lane] += 1
        self._teams[team_id] += 1

    def free(self, team_id: UUID, lane: UUID) -> None:
        """Give a place back."""
        for tally, name in ((self._lanes, lane), (self._teams, team_id)):
            tally[name] -= 1
            if not tally[name]:
                del tally[name]

    def share(self, due: Sequence[DueLane]) -> list[tuple[DueLane, int]]:
        """How many deliveries of each lane may begin now.

        Where places are short, the next one goes to the team with the fewest requests under way,
        and within a team to its lanes in turn.
        """
        lanes: defaultdict[UUID, deque[tuple[DueLane, int]]] = defaultdict(deque)
        for lane in sorted(due, key=lambda one: self._lanes[one.lane]):
            wanted = min(lane.due, LANE_WIDTH - self._lanes[lane.lane])
            if wanted > 0:
                lanes[lane.team_id].append((lane, wanted))
        teams = [(self._teams[team_id], team_id) for team_id in lanes]
        heapq.heapify(teams)
        shares: Tally[DueLane] = Tally()
        left = PROCESS_WIDTH - self.taken
        while teams and left:
            under_way, team_id = heapq.heappop(teams)
            if under_way >= TEAM_WIDTH:
                continue
            lane, wanted = lanes[team_id].popleft()
            shares[lane] += 1
            left -= 1
            if wanted > 1:
                lanes[team_id].append((lane, wanted - 1))
            if lanes[team_id]:
                heapq.heappush(teams, (under_way + 1, team_id))
        return list(shares.items())
