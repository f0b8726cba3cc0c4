"""One meeting while it is held: its people, its visitors, its script, its live controls.

Used through ``sitin.rehearsal.Rehearsal`` and by the control routes. Controls take effect at once
and raise ``ControlError`` where they do not fit; the awaitable methods wait for something to have
happened, without a time limit of their own (``asyncio.timeout`` gives one).
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog
from starlette.websockets import WebSocket

from sitin.contract.base import Frozen
from sitin.kit.clock import SystemClock
from sitin.kit.ids import new_id
from sitin.platforms.meet import wire_pb2 as wire
from sitin.rehearsal.cast import Cast
from sitin.rehearsal.clock import ScriptClock
from sitin.rehearsal.errors import ControlError
from sitin.rehearsal.film import FilmStore
from sitin.rehearsal.lobby import Lobby, Refusal
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
        self._changes = _Changes()
        self._cast = Cast(script, self._ledger, on_change=self._people_changed)
        self._lobby = Lobby(
            script.admission,
            self._ledger,
            new_device=self._cast.new_device,
            on_change=self._changes.fire,
        )
        self._stage = SoundStage(
            self.clock,
            self._ledger,
            on_speaking=self._speaking_changed,
            on_caption=self._captioned,
            on_quiet=self._changes.fire,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._pictures_ready = asyncio.Event()
        self._timeline_done = False
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
        """Chromium's flags without which it refuses the certificate or media over loopback."""
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
            self._stage.schedule(speech.at, self._cast.person(speech.who), speech.utterance)
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
        """Stop holding it, which ends it for everyone, and write the truth."""
        if self._ledger.ended_at is None:
            self.end()
        await self._lobby.close()
        self._cancel_tasks()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._write_truth()

    # -- controls -------------------------------------------------------------------------------

    def host_arrives(self) -> None:
        """The host comes; whoever waited for that goes on."""
        self._lobby.host_arrives()

    def admit(self, visitor: str | None = None) -> None:
        """Let a visitor in, or all who wait."""
        self._lobby.admit(visitor)

    def refuse(self, how: Refusal = "denied", visitor: str | None = None) -> None:
        """Turn a visitor away, or all who wait."""
        self._lobby.refuse(how, visitor)

    def deny(self, visitor: str | None = None) -> None:
        """Turn a visitor away, or all who wait, by the hand of somebody inside."""
        self._lobby.refuse("denied", visitor)

    def remove_bot(self, visitor: str | None = None) -> None:
        """Remove a visitor from the call, or all."""
        self._lobby.remove(visitor)
        self._people_changed()

    def end(self) -> None:
        """End the meeting for everyone. From then on it takes no CPU time."""
        if self._ledger.ended_at is not None:
            raise ControlError("the meeting has ended already")
        self._ledger.ended_at = SystemClock().now()
        self._lobby.end()
        self._stage.silence_everybody()
        for person in self._cast.people:
            if person.present:
                self._cast.leave(person.spec.id)
        self._cancel_tasks()
        self._timeline_done = True
        self._write_truth()
        self._changes.fire()

    def join(self, who: str) -> None:
        """A participant comes, or comes back."""
        if self._ledger.ended_at is not None:
            raise ControlError("the meeting has ended")
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
        """A participant speaks from now on. Raises ``ScriptError`` for what cannot be spoken."""
        person = self._cast.present_person(who)
        if not self.clock.running:
            raise ControlError("nobody can speak before the script's clock runs")
        spoken = await utterance(
            Say(at=0, who=who, text=text, audio=audio), voice_of(person.spec, person.position)
        )
        self._stage.schedule(self.clock.now(), person, spoken)

    # -- waiting --------------------------------------------------------------------------------

    async def asked(self) -> Visit:
        """Wait until a visitor asks to join and is not answered yet."""
        return await self._changes.until(lambda: self._lobby.latest("waiting"))

    async def joined(self) -> Visit:
        """Wait until a visitor is in the call and its media is connected."""
        return await self._changes.until(lambda: self._lobby.latest("in_call"))

    async def left(self) -> Visit:
        """Wait until every visit is over, after there was one; the last one's visit."""
        return await self._changes.until(self._lobby.last_to_leave)

    async def ended(self) -> None:
        """Wait until the meeting has ended."""
        await self._changes.until(lambda: self._ledger.ended_at)

    async def reached(self, seconds: float) -> None:
        """Wait for a moment of the script's clock."""
        await self.clock.wait_until(seconds)

    async def played(self) -> None:
        """Wait until the timeline is done and nobody speaks any more."""
        await self._changes.until(lambda: self._timeline_done and self._stage.quiet)

    async def pictures_ready(self) -> None:
        """Wait until the pictures of the script's first minute are made."""
        await self._pictures_ready.wait()

    # -- what the page's routes need ------------------------------------------------------------

    async def receive_visitor(self, socket: WebSocket) -> None:
        """Serve a page that has been opened, until it goes away."""
        surroundings = Surroundings(self.script, self.clock, self._stage, self._film, self._ledger)
        visitor = MeetVisitor(str(new_id()), socket, self, surroundings)
        self._lobby.visitors[visitor.id] = visitor
        if self._ledger.ended_at is not None:
            visitor.show_screen("expired")
        elif self.script.entrance in (Entrance.OPEN, Entrance.CAPTCHA):
            visitor.show_screen(
                "prejoin",
                options=self.script.prejoin.model_dump(mode="json"),
                captcha=self.script.entrance is Entrance.CAPTCHA,
                visitor=visitor.id,
            )
        else:
            visitor.show_screen(self.script.entrance.value)
        try:
            await visitor.run()
        finally:
            del self._lobby.visitors[visitor.id]

    def sync_reply(self, visitor_id: str) -> bytes | None:
        """Everybody who is there, as the page fetches it; ``None`` for who is not in the call."""
        visitor = self._lobby.visitors.get(visitor_id)
        if visitor is None or not visitor.in_call:
            return None
        return sync_reply(self._users_for(visitor))

    def visitor_asked(self, visitor: MeetVisitor, name: str) -> None:
        """A visitor asks to join."""
        if self._ledger.ended_at is None:
            self._lobby.ask(visitor, name)

    def visitor_entered(self, visitor: MeetVisitor) -> None:  # noqa: ARG002 - part of the Protocol
        """A visitor is in the call."""
        self._people_changed()

    def visitor_connected(self, visitor: MeetVisitor) -> None:
        """A visitor's media is connected."""
        if self._lobby.connected(visitor):
            self._start_clock()

    def visitor_left(self, visitor: MeetVisitor, *, by_button: bool) -> None:
        """A visitor has left, or its page is gone."""
        self._lobby.left(visitor, "left" if by_button else "gone")
        if by_button:
            visitor.show_screen("left")
        self._people_changed()
        self._write_truth()

    def visitor_wrote(self, visitor: MeetVisitor, text: str) -> None:
        """A visitor wrote to everybody."""
        if visitor.in_call:
            self._send_chat(visitor.device_id, visitor.name, text)

    # -- inside ---------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(_reported(work, self.script.code)))

    def _cancel_tasks(self) -> None:
        """Cancel the sound, the pictures and the timeline, but not the caller's own task."""
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()

    def _start_clock(self) -> None:
        if not self.clock.running:
            # On a beat, so that sound and pictures of the same moment leave at the same instant.
            self.clock.start(at=self._stage.next_beat_at)
            self._ledger.clock_started_at = SystemClock().now()
            self._changes.fire()

    def _users_for(self, receiver: MeetVisitor) -> list[wire.User]:
        return users_of(self._cast.people) + [
            visitor_user(visitor.device_id, visitor.name, is_self=visitor is receiver)
            for visitor in self._lobby.inside
        ]

    def _tiles_for(self, receiver: MeetVisitor) -> list[dict[str, Any]]:
        people = [person for person in self._cast.people if person.present]
        screens = [person for person in people if person.presentation is not None]
        return [
            *(_tile(person) for person in people),
            *(_tile(person, presentation=True) for person in screens),
            *(
                {
                    "id": visitor.device_id,
                    "name": visitor.name,
                    "self": visitor is receiver,
                    "stream": None,
                    "presentation": False,
                    "muted": True,
                }
                for visitor in self._lobby.inside
            ),
        ]

    def _people_changed(self) -> None:
        outputs = outputs_of(self._cast.people)
        for visitor in self._lobby.inside:
            visitor.show_people(
                self._cast.people, self._users_for(visitor), outputs, self._tiles_for(visitor)
            )
        self._changes.fire()

    def _speaking_changed(self, speaking: frozenset[Person]) -> None:
        devices = [person.device_id for person in speaking if person.present]
        for visitor in self._lobby.inside:
            visitor.show_speaking(devices)
        self._changes.fire()

    def _captioned(self, line: CaptionLine) -> None:
        for visitor in self._lobby.inside:
            visitor.show_caption(line)

    def _send_chat(self, device_id: str, name: str, text: str) -> None:
        self._chats += 1
        for visitor in self._lobby.inside:
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
                log.warning("rehearsal.event_skipped", event_kind=event.do, reason=error.message)
        await self.clock.started()
        self._timeline_done = True
        self._changes.fire()

    def _apply(self, event: TimelineEvent) -> None:
        """An event's ``do`` names the control of the same name, its fields are the arguments."""
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
