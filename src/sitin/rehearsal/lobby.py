"""Who stands before the door and who was let in: a meeting's visitors and their visits.

For the meeting. Visitors are pages that have been opened; a visit begins when one asks to join.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from sitin.kit.clock import SystemClock
from sitin.rehearsal.errors import ControlError
from sitin.rehearsal.meet.visitor import MeetVisitor
from sitin.rehearsal.script import Admission
from sitin.rehearsal.truth import Ledger, Visit

Refusal = Literal["denied", "no_response", "cannot_join", "connection_problem"]

_REFUSALS: dict[str, Refusal] = {
    "deny": "denied",
    "no_response": "no_response",
    "cannot_join": "cannot_join",
    "connection_problem": "connection_problem",
}
"""A script's answer → the outcome it leads to, which is also the screen that tells it."""

_UNDER_WAY = ("waiting", "admitted", "in_call")


class Lobby:
    """Answers visitors as the script says, or as the live controls do before it."""

    def __init__(
        self,
        admission: Admission,
        ledger: Ledger,
        *,
        new_device: Callable[[], str],
        on_change: Callable[[], None],
    ) -> None:
        self.visitors: dict[str, MeetVisitor] = {}
        """Every page that is open, by visitor."""
        self._admission = admission
        self._ledger = ledger
        self._new_device = new_device
        self._on_change = on_change
        self._host_is_here = asyncio.Event()
        self._answers: dict[str, asyncio.Task[None]] = {}
        self._dismissals: set[asyncio.Task[None]] = set()

    @property
    def inside(self) -> list[MeetVisitor]:
        """Visitors who are in the call."""
        return [visitor for visitor in self.visitors.values() if visitor.in_call]

    def under_way(self, visitor_id: str) -> bool:
        """Whether a visit has begun and is not over."""
        visit = self._ledger.visits.get(visitor_id)
        return visit is not None and visit.outcome in _UNDER_WAY

    def latest(self, outcome: str) -> Visit | None:
        """The latest visit of this outcome."""
        visits = [visit for visit in self._ledger.visits.values() if visit.outcome == outcome]
        return visits[-1] if visits else None

    def last_to_leave(self) -> Visit | None:
        """The visit that was over last; ``None`` while one is under way or before there was any."""
        visits = list(self._ledger.visits.values())
        if not visits or any(visit.outcome in _UNDER_WAY for visit in visits):
            return None
        return max(visits, key=lambda visit: visit.left_at or visit.asked_at)

    def ask(self, visitor: MeetVisitor, name: str) -> None:
        """A visitor asks to join; a second time changes nothing."""
        if visitor.id in self._ledger.visits:
            return
        visitor.name = name
        self._ledger.visits[visitor.id] = Visit(
            visitor=visitor.id, name=name, device_id="", asked_at=SystemClock().now()
        )
        self._answers[visitor.id] = asyncio.create_task(self._answer(visitor))
        self._on_change()

    def host_arrives(self) -> None:
        """The host comes; whoever waited for that goes on."""
        self._host_is_here.set()

    def admit(self, visitor_id: str | None) -> None:
        """Let one in, or all who wait. Raises ``ControlError`` where nobody does."""
        for visitor in self._waiting(visitor_id):
            self._stop_answering(visitor.id)
            visitor.device_id = self._new_device()
            self._note(
                visitor.id,
                outcome="admitted",
                device_id=visitor.device_id,
                admitted_at=SystemClock().now(),
            )
            visitor.admit()

    def refuse(self, how: Refusal, visitor_id: str | None) -> None:
        """Turn one away, or all who wait. Raises ``ControlError`` where nobody does."""
        for visitor in self._waiting(visitor_id):
            self._dismiss(visitor, how)

    def remove(self, visitor_id: str | None) -> None:
        """Remove one from the call, or all. Raises ``ControlError`` where nobody is."""
        inside = [visitor for visitor in self.inside if visitor_id in (None, visitor.id)]
        if not inside:
            raise ControlError("visitor: nobody of that kind is in the call")
        for visitor in inside:
            visitor.removed()
            self._dismiss(visitor, "removed")

    def end(self) -> None:
        """Everybody's visit is over, because the meeting is."""
        for visitor in self.visitors.values():
            if self.under_way(visitor.id):
                self._dismiss(visitor, "ended")

    def connected(self, visitor: MeetVisitor) -> bool:
        """A visitor's media is connected; tells whether its visit is still under way."""
        visit = self._ledger.visits.get(visitor.id)
        if visit is None or visit.outcome != "admitted":
            return False
        self._note(visitor.id, outcome="in_call", connected_at=SystemClock().now())
        return True

    def left(self, visitor: MeetVisitor, outcome: Literal["left", "gone"]) -> None:
        """A visitor has left by itself."""
        visitor.in_call = False
        self._stop_answering(visitor.id)
        if self.under_way(visitor.id):
            self._note(visitor.id, outcome=outcome, left_at=SystemClock().now())

    async def close(self) -> None:
        """Stop answering, let everybody read the last they are told, and hang up."""
        answers = list(self._answers.values())
        for task in answers:
            task.cancel()
        await asyncio.gather(*answers, *self._dismissals, return_exceptions=True)
        for visitor in list(self.visitors.values()):
            await visitor.hang_up()

    async def _answer(self, visitor: MeetVisitor) -> None:
        admission = self._admission
        loop = asyncio.get_running_loop()
        asked = loop.time()
        if admission.host_arrives_after != 0 and not self._host_is_here.is_set():
            visitor.show_screen("waiting_for_host")
            try:
                async with asyncio.timeout(admission.host_arrives_after):
                    await self._host_is_here.wait()
            except TimeoutError:
                self._host_is_here.set()
        remaining = admission.after - (loop.time() - asked)
        if admission.answer == "wait" or remaining > 0:
            visitor.show_screen("lobby")
        if admission.answer == "wait":
            return
        await asyncio.sleep(max(0.0, remaining))
        if admission.answer == "admit":
            self.admit(visitor.id)
        else:
            self.refuse(_REFUSALS[admission.answer], visitor.id)

    def _waiting(self, visitor_id: str | None) -> list[MeetVisitor]:
        waiting = [
            visitor
            for visitor in self.visitors.values()
            if visitor_id in (None, visitor.id)
            and visitor.id in self._ledger.visits
            and self._ledger.visits[visitor.id].outcome == "waiting"
        ]
        if not waiting:
            raise ControlError("visitor: nobody of that kind is waiting to be let in")
        return waiting

    def _dismiss(
        self, visitor: MeetVisitor, outcome: Refusal | Literal["removed", "ended"]
    ) -> None:
        self._stop_answering(visitor.id)
        visitor.in_call = False
        # Its page may be about to press the second "Join now".
        visitor.device_id = ""
        self._note(visitor.id, outcome=outcome, left_at=SystemClock().now())
        task = asyncio.create_task(visitor.dismiss(outcome))
        self._dismissals.add(task)
        task.add_done_callback(self._dismissals.discard)

    def _stop_answering(self, visitor_id: str) -> None:
        task = self._answers.pop(visitor_id, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _note(self, visitor_id: str, **changes: Any) -> None:
        visit = self._ledger.visits[visitor_id]
        self._ledger.visits[visitor_id] = visit.model_copy(update=changes)
        self._on_change()
