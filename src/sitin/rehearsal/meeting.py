"""One meeting while it is held: its visitors, its script, its live controls.

Used through ``sitin.rehearsal.Rehearsal`` and by the control routes. Controls take effect at once
and raise ``ControlError`` where they do not fit; the awaitable methods wait for something to have
happened, without a time limit of their own (``asyncio.timeout`` gives one).
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import structlog
from starlette.websockets import WebSocket

from sitin.contract.base import Frozen
from sitin.kit.clock import SystemClock
from sitin.kit.ids import new_id
from sitin.rehearsal.cast import Cast
from sitin.rehearsal.clock import ScriptClock
from sitin.rehearsal.errors import ControlError
from sitin.rehearsal.film import FilmStore
from sitin.rehearsal.meet.collections import outputs_of, sync_reply, users_of, visitor_user
from sitin.rehearsal.meet.connection import Surroundings
from sitin.rehearsal.meet.visitor import MeetVisitor
from sitin.rehearsal.people import Person
from sitin.rehearsal.projection import prepare_pictures
from sitin.rehearsal.script import Entrance, Say, Script, TimelineEvent
from sitin.rehearsal.sound import CaptionLine, SoundStage
from sitin.rehearsal.speech import load_speech
from sitin.rehearsal.truth import Ledger, Truth, Visit
from sitin.rehearsal.voices import utterance, voice_of

log = structlog.get_logger(__name__)

T = TypeVar("T")

Refusal = Literal["denied", "no_response", "cannot_join", "connection_problem"]

_REFUSALS: dict[str, Refusal] = {
    "deny": "denied",
    "no_response": "no_response",
    "cannot_join": "cannot_join",
    "connection_problem": "connection_problem",
}
"""A script's answer → the screen and outcome it leads to."""


@dataclass(frozen=True, slots=True)
class Address:
    """How a browser finds a meeting that is held here."""

    url: str
    browser_host_rules: str
    """For Chromium's ``--host-resolver-rules``, and for ``SITIN_BROWSER_HOST_RULES``."""
    browser_args: tuple[str, ...]
    """Further Chromium flags, for ``SITIN_BROWSER_ARGS``."""


class MeetingState(Frozen):
    """A meeting as it is now."""

    code: str
    url: str
    clock: float | None
    """Seconds on the script's clock; ``None`` before it runs."""
    ended: bool
    participants: tuple[str, ...]
    """Ids of those who are in the meeting."""
    visits: tuple[Visit, ...]


class Meeting:
    """A meeting that is being held. The server makes and opens it."""

    def __init__(
        self, script: Script, address: Address, film: FilmStore, *, truth_path: Path | None = None
    ) -> None:
        self.script = script
        self.address = address
        self.clock = ScriptClock()
        self._film = film
        self._truth_path = truth_path
        self._ledger = Ledger(script.code)
        self._cast = Cast(script, self._ledger, on_change=self._people_changed)
        self._stage = SoundStage(
            self.clock, self._ledger, on_speaking=self._speaking_changed, on_caption=self._captioned
        )
        self._visitors: dict[str, MeetVisitor] = {}
        self._answers: dict[str, asyncio.Task[None]] = {}
        self._host_is_here = asyncio.Event()
        self._changes = _Changes()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pictures_ready = asyncio.Event()
        self._played = False
        self._chats = 0

    # -- where it is ----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address a bot is sent to."""
        return self.address.url

    @property
    def browser_host_rules(self) -> str:
        """Chromium's host resolver rules that lead ``url`` here."""
        return self.address.browser_host_rules

    @property
    def browser_args(self) -> tuple[str, ...]:
        """Chromium's flags without which the browser refuses certificate or loopback media."""
        return self.address.browser_args

    @property
    def truth(self) -> Truth:
        """What has happened up to now."""
        return self._ledger.truth()

    @property
    def state(self) -> MeetingState:
        """How things stand."""
        return MeetingState(
            code=self.script.code,
            url=self.url,
            clock=self.clock.now() if self.clock.running else None,
            ended=self._ledger.ended_at is not None,
            participants=tuple(p.spec.id for p in self._cast.people if p.present),
            visits=tuple(self._ledger.visits.values()),
        )

    # -- opening and closing --------------------------------------------------------------------

    async def open(self) -> None:
        """Make what is said and begin to hold the meeting. Raises ``ScriptError``."""
        for speech in await load_speech(self.script):
            person = self._cast.person(speech.who)
            self._stage.schedule(speech.at, person, speech.utterance)
        if self.script.video.sync_marks:
            self._stage.beep(self._cast.people[0])
        self._spawn(self._stage.run())
        self._spawn(self._play())
        self._spawn(
            prepare_pictures(
                self.script, self._cast, self.clock, self._film, ready=self._pictures_ready
            )
        )
        if self.script.clock_starts == "meeting":
            self._start_clock()

    async def close(self) -> None:
        """Stop holding it and write the truth."""
        for visitor in list(self._visitors.values()):
            await visitor.hang_up()
        tasks = [*self._tasks, *self._answers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._write_truth()

    # -- controls -------------------------------------------------------------------------------

    def host_arrives(self) -> None:
        """The host comes; whoever waited for that goes on."""
        self._host_is_here.set()

    def admit(self, visitor: str | None = None) -> None:
        """Let a visitor in, or all who wait."""
        for waiting in self._waiting(visitor):
            self._stop_answering(waiting)
            waiting.device_id = self._cast.new_device()
            self._note_visit(
                waiting.id, device_id=waiting.device_id, admitted_at=SystemClock().now()
            )
            waiting.admit()

    def refuse(self, how: Refusal = "denied", visitor: str | None = None) -> None:
        """Turn a visitor away, or all who wait."""
        for waiting in self._waiting(visitor):
            self._stop_answering(waiting)
            self._over(waiting, how)

    def deny(self, visitor: str | None = None) -> None:
        """Turn a visitor away by the hand of somebody inside."""
        self.refuse("denied", visitor)

    def remove_bot(self, visitor: str | None = None) -> None:
        """Remove a visitor from the call, or all."""
        inside = [v for v in self._visitors.values() if v.in_call and visitor in (None, v.id)]
        if not inside:
            raise ControlError("visitor: nobody of that kind is in the call")
        for removed in inside:
            removed.removed()
            self._over(removed, "removed")

    def end(self) -> None:
        """End the meeting for everyone."""
        if self._ledger.ended_at is not None:
            raise ControlError("the meeting has ended already")
        self._ledger.ended_at = SystemClock().now()
        for visitor in list(self._visitors.values()):
            self._stop_answering(visitor)
            if self._unsettled(visitor.id):
                self._over(visitor, "ended")
        for person in self._cast.people:
            self._stage.silence(person)
        self._cast.empty()
        self._write_truth()
        self._changes.fire()

    def join(self, who: str) -> None:
        """A participant comes, or comes back."""
        self._cast.join(who)

    def leave(self, who: str) -> None:
        """A participant leaves."""
        self._stage.silence(self._cast.present_person(who))
        self._cast.leave(who)

    def present(self, who: str) -> None:
        """A participant shares a screen."""
        self._cast.present(who)

    def stop_presenting(self, who: str) -> None:
        """A participant stops sharing."""
        self._cast.stop_presenting(who)

    def mute(self, who: str) -> None:
        """A participant's microphone goes off."""
        self._cast.set_muted(who, muted=True)

    def unmute(self, who: str) -> None:
        """A participant's microphone goes on."""
        self._cast.set_muted(who, muted=False)

    def camera_on(self, who: str) -> None:
        """A participant's camera goes on."""
        self._cast.set_camera(who, on=True)

    def camera_off(self, who: str) -> None:
        """A participant's camera goes off."""
        self._cast.set_camera(who, on=False)

    def chat(self, who: str, text: str) -> None:
        """A participant writes to everybody."""
        person = self._cast.present_person(who)
        self._send_chat(person.device_id, person.spec.name, text)

    async def say(self, who: str, text: str, audio: Path | None = None) -> None:
        """A participant speaks now; returns when it has begun to be due. Raises ``ScriptError``."""
        person = self._cast.present_person(who)
        spoken = await utterance(
            Say(at=0, who=who, text=text, audio=audio), voice_of(person.spec, person.position)
        )
        self._stage.schedule(self.clock.now(), person, spoken)

    # -- waiting --------------------------------------------------------------------------------

    async def asked(self) -> Visit:
        """Wait until a visitor asks to join and is not answered yet."""
        return await self._changes.until(lambda: self._visit_with("waiting"))

    async def joined(self) -> Visit:
        """Wait until a visitor is in the call and its media is connected."""
        return await self._changes.until(lambda: self._visit_with("in_call"))

    async def left(self) -> Visit:
        """Wait until nobody visits any more who did; the last one's visit."""

        def gone() -> Visit | None:
            visits = list(self._ledger.visits.values())
            if not visits or any(self._unsettled(visit.visitor) for visit in visits):
                return None
            return max(visits, key=lambda visit: visit.left_at or visit.asked_at)

        return await self._changes.until(gone)

    async def ended(self) -> None:
        """Wait until the meeting has ended."""
        await self._changes.until(lambda: self._ledger.ended_at)

    async def reached(self, seconds: float) -> None:
        """Wait for a moment of the script's clock."""
        await self.clock.wait_until(seconds)

    async def played(self) -> None:
        """Wait until the timeline is done and nobody speaks any more."""
        await self._changes.until(lambda: self._played and self._stage.quiet)

    async def pictures_ready(self) -> None:
        """Wait until the pictures of the script's first minute are made."""
        await self._pictures_ready.wait()

    # -- what the page's routes need ------------------------------------------------------------

    async def receive_visitor(self, socket: WebSocket) -> None:
        """Serve a page that has been opened, until it goes away."""
        surroundings = Surroundings(self.script, self.clock, self._stage, self._film, self._ledger)
        visitor = MeetVisitor(str(new_id()), socket, self, surroundings)
        self._visitors[visitor.id] = visitor
        if self._ledger.ended_at is not None:
            visitor.show_screen("expired")
        elif self.script.entrance in (Entrance.OPEN, Entrance.CAPTCHA):
            captcha = self.script.entrance is Entrance.CAPTCHA
            options = self.script.prejoin.model_dump(mode="json")
            visitor.show_screen("prejoin", options=options, captcha=captcha, visitor=visitor.id)
        else:
            visitor.show_screen(self.script.entrance.value)
        try:
            await visitor.run()
        finally:
            del self._visitors[visitor.id]
            self._people_changed()

    def sync_reply(self, visitor_id: str) -> bytes | None:
        """Everybody who is there, as the page fetches it; ``None`` for an unknown visitor."""
        visitor = self._visitors.get(visitor_id)
        if visitor is None or not visitor.in_call:
            return None
        return sync_reply(self._users_for(visitor))

    def visitor_asked(self, visitor: MeetVisitor, name: str) -> None:
        """A visitor asks to join."""
        if visitor.id in self._ledger.visits or self._ledger.ended_at is not None:
            return
        visitor.name = name
        self._ledger.visits[visitor.id] = Visit(
            visitor=visitor.id, name=name, device_id="", asked_at=SystemClock().now()
        )
        self._answers[visitor.id] = asyncio.create_task(self._answer(visitor))
        self._changes.fire()

    def visitor_entered(self, visitor: MeetVisitor) -> None:  # noqa: ARG002 - part of the Protocol
        """A visitor is in the call."""
        self._people_changed()

    def visitor_connected(self, visitor: MeetVisitor) -> None:
        """A visitor's media is connected."""
        self._note_visit(visitor.id, connected_at=SystemClock().now(), outcome="in_call")
        self._start_clock()

    def visitor_left(self, visitor: MeetVisitor, *, by_button: bool) -> None:
        """A visitor has left, or its page is gone."""
        self._stop_answering(visitor)
        visitor.in_call = False
        if self._unsettled(visitor.id):
            outcome = "left" if by_button else "gone"
            self._note_visit(visitor.id, outcome=outcome, left_at=SystemClock().now())
            self._write_truth()
        if by_button:
            visitor.show_screen("left")
        self._people_changed()

    def visitor_wrote(self, visitor: MeetVisitor, text: str) -> None:
        """A visitor wrote to everybody."""
        if visitor.in_call:
            self._send_chat(visitor.device_id, visitor.name, text)

    # -- inside ---------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_reported(work, self.script.code))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _start_clock(self) -> None:
        if not self.clock.running:
            self.clock.start()
            self._ledger.clock_started_at = SystemClock().now()
            self._changes.fire()

    async def _answer(self, visitor: MeetVisitor) -> None:
        """Let those inside answer a visitor as the script says."""
        admission = self.script.admission
        loop = asyncio.get_running_loop()
        asked = loop.time()
        if not self._host_is_here.is_set() and admission.host_arrives_after != 0:
            visitor.show_screen("waiting_for_host")
            try:
                async with asyncio.timeout(admission.host_arrives_after):
                    await self._host_is_here.wait()
            except TimeoutError:
                self._host_is_here.set()
        if admission.answer == "wait" or admission.after > loop.time() - asked:
            visitor.show_screen("lobby")
        if admission.answer == "wait":
            return
        await asyncio.sleep(max(0.0, admission.after - (loop.time() - asked)))
        if admission.answer == "admit":
            self.admit(visitor.id)
        else:
            self.refuse(_REFUSALS[admission.answer], visitor.id)

    def _stop_answering(self, visitor: MeetVisitor) -> None:
        task = self._answers.pop(visitor.id, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _waiting(self, visitor: str | None) -> list[MeetVisitor]:
        waiting = [
            item
            for item in self._visitors.values()
            if visitor in (None, item.id)
            and item.id in self._ledger.visits
            and self._ledger.visits[item.id].outcome == "waiting"
            and self._ledger.visits[item.id].admitted_at is None
        ]
        if not waiting:
            raise ControlError("visitor: nobody of that kind is waiting to be let in")
        return waiting

    def _over(self, visitor: MeetVisitor, outcome: Refusal | Literal["removed", "ended"]) -> None:
        self._note_visit(visitor.id, outcome=outcome, left_at=SystemClock().now())
        visitor.in_call = False
        self._spawn(visitor.dismiss(outcome))
        self._people_changed()

    def _unsettled(self, visitor_id: str) -> bool:
        visit = self._ledger.visits.get(visitor_id)
        return visit is not None and visit.outcome in ("waiting", "in_call")

    def _visit_with(self, outcome: str) -> Visit | None:
        visits = [v for v in self._ledger.visits.values() if v.outcome == outcome]
        return visits[-1] if visits else None

    def _note_visit(self, visitor_id: str, **changes: Any) -> None:
        visit = self._ledger.visits[visitor_id]
        self._ledger.visits[visitor_id] = visit.model_copy(update=changes)
        self._changes.fire()

    def _users_for(self, receiver: MeetVisitor) -> list[Any]:
        inside = [visitor for visitor in self._visitors.values() if visitor.in_call]
        return users_of(self._cast.people) + [
            visitor_user(visitor.device_id, visitor.name, is_self=visitor is receiver)
            for visitor in inside
        ]

    def _tiles_for(self, receiver: MeetVisitor) -> list[dict[str, Any]]:
        tiles = [_tile(person) for person in self._cast.people if person.present]
        tiles += [
            _tile(person, presentation=True)
            for person in self._cast.people
            if person.presentation is not None
        ]
        for visitor in self._visitors.values():
            if visitor.in_call:
                tile = {"id": visitor.device_id, "name": visitor.name, "self": visitor is receiver}
                tiles.append({**tile, "stream": None, "presentation": False, "muted": True})
        return tiles

    def _people_changed(self) -> None:
        outputs = outputs_of(self._cast.people)
        for visitor in self._visitors.values():
            if visitor.in_call:
                visitor.show_people(
                    self._cast.people, self._users_for(visitor), outputs, self._tiles_for(visitor)
                )
        self._changes.fire()

    def _speaking_changed(self, speaking: frozenset[Person]) -> None:
        devices = [person.device_id for person in speaking if person.present]
        for visitor in self._visitors.values():
            visitor.show_speaking(devices)
        self._changes.fire()

    def _captioned(self, line: CaptionLine) -> None:
        for visitor in self._visitors.values():
            visitor.show_caption(line)

    def _send_chat(self, device_id: str, name: str, text: str) -> None:
        self._chats += 1
        for visitor in self._visitors.values():
            visitor.show_chat(f"{device_id}/messages/{self._chats}", device_id, name, text)

    async def _play(self) -> None:
        for event in sorted(self.script.timeline, key=lambda item: item.at):
            if isinstance(event, Say):
                continue
            await self.clock.wait_until(event.at)
            try:
                self._apply(event)
            except ControlError as error:
                # A live control came before the script and has done it, or undone its ground.
                log.warning("rehearsal.event_skipped", event=event.do, reason=error.message)
        await self.clock.started()
        self._played = True
        self._changes.fire()

    def _apply(self, event: TimelineEvent) -> None:
        control: Callable[..., None] = getattr(self, event.do)
        control(**event.model_dump(exclude={"at", "do"}))

    def _write_truth(self) -> None:
        if self._truth_path is not None:
            self.truth.write(self._truth_path)


class _Changes:
    """Lets waiters look again whenever something has changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def fire(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, look: Callable[[], T | None]) -> T:
        while not (found := look()):
            await self._event.wait()
        return found


async def _reported(work: Coroutine[Any, Any, None], code: str) -> None:
    """Run a task of the meeting to its end and report what went wrong in it."""
    try:
        await work
    except Exception:
        log.exception("rehearsal.task_failed", meeting=code)
        raise


def _tile(person: Person, *, presentation: bool = False) -> dict[str, Any]:
    feed = person.presentation if presentation else person.camera
    return {
        "id": feed.device_id if feed is not None else person.device_id,
        "name": person.spec.name,
        "self": False,
        "stream": feed.stream_id if feed is not None else None,
        "presentation": presentation,
        "muted": person.muted,
    }
