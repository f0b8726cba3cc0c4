"""The script's participants while the meeting is held: who comes, goes, shows, is muted.

For the meeting. A change that cannot be (somebody leaves who is not there) is a ``ControlError``.
"""

import secrets
from collections.abc import Callable

from sitin.kit.clock import SystemClock
from sitin.rehearsal.errors import ControlError
from sitin.rehearsal.people import Feed, FeedKind, Person
from sitin.rehearsal.script import Script
from sitin.rehearsal.truth import Attendance, Ledger


class Cast:
    """Everybody the script names."""

    def __init__(self, script: Script, ledger: Ledger, *, on_change: Callable[[], None]) -> None:
        self.people = [
            Person(spec, position, script.video)
            for position, spec in enumerate(script.participants)
        ]
        self._by_id = {person.spec.id: person for person in self.people}
        self._ledger = ledger
        self._on_change = on_change
        self._space = secrets.token_urlsafe(9)
        self._devices = 0
        for person in self.people:
            person.muted = person.spec.muted
            if person.spec.joins_at_start:
                self._enter(person)

    def person(self, participant_id: str) -> Person:
        """Somebody of the script. Raises ``ControlError``."""
        person = self._by_id.get(participant_id)
        if person is None:
            known = ", ".join(repr(key) for key in self._by_id)
            raise ControlError(f"who: nobody is called {participant_id!r}; there are {known}")
        return person

    def present_person(self, participant_id: str) -> Person:
        """Somebody who is in the meeting now. Raises ``ControlError``."""
        person = self.person(participant_id)
        if not person.present:
            raise ControlError(f"who: {participant_id!r} is not in the meeting now")
        return person

    def new_device(self) -> str:
        """A device id nobody has had, as Meet writes them."""
        self._devices += 1
        return f"spaces/{self._space}/devices/{self._devices}"

    def join(self, participant_id: str) -> None:
        """Somebody comes, or comes back."""
        person = self.person(participant_id)
        if person.present:
            raise ControlError(f"who: {participant_id!r} is in the meeting already")
        self._enter(person)
        self._on_change()

    def leave(self, participant_id: str) -> None:
        """Somebody leaves."""
        person = self.present_person(participant_id)
        stay = self._ledger.attendance[person.device_id]
        left = stay.model_copy(update={"left_at": SystemClock().now()})
        self._ledger.attendance[person.device_id] = left
        for feed in person.feeds:
            feed.live = False
        person.camera = person.presentation = None
        person.device_id = ""
        self._on_change()

    def present(self, participant_id: str) -> None:
        """Somebody shares a screen."""
        person = self.present_person(participant_id)
        if person.presentation is not None:
            raise ControlError(f"who: {participant_id!r} presents already")
        person.presentation = self._feed(person, "presentation")
        self._on_change()

    def stop_presenting(self, participant_id: str) -> None:
        """Somebody stops sharing."""
        person = self.present_person(participant_id)
        if person.presentation is None:
            raise ControlError(f"who: {participant_id!r} does not present")
        person.presentation.live = False
        person.presentation = None
        self._on_change()

    def set_muted(self, participant_id: str, *, muted: bool) -> None:
        """Somebody's microphone goes off or on."""
        self.present_person(participant_id).muted = muted
        self._on_change()

    def set_camera(self, participant_id: str, *, on: bool) -> None:
        """Somebody's camera goes on or off."""
        person = self.present_person(participant_id)
        if on and person.camera is None:
            person.camera = self._feed(person, "camera")
        elif not on and person.camera is not None:
            person.camera.live = False
            person.camera = None
        self._on_change()

    def _enter(self, person: Person) -> None:
        person.device_id = self.new_device()
        # Any number that no other stay has; the first ones are Meet's own to its tracks' SSRCs.
        person.source = 10_000 + 7 * self._devices
        if person.spec.video:
            person.camera = self._feed(person, "camera")
        self._ledger.attendance[person.device_id] = Attendance(
            participant=person.spec.id,
            name=person.spec.name,
            device_id=person.device_id,
            joined_at=SystemClock().now(),
        )

    def _feed(self, person: Person, kind: FeedKind) -> Feed:
        device_id = person.device_id if kind == "camera" else self.new_device()
        return Feed(person, kind, person.card(kind), device_id)
