"""Who is in the meeting: persons, where the platform lists devices. For the runner's report.

A platform gives everybody who comes back another id. Somebody new is taken for a person who has
left if name and picture are the same; two who are there at the same time are two persons.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sitin.contract.meeting import UNNAMED, Roster, RosterEntry


@dataclass(slots=True)
class _Person:
    participant_id: str
    name: str
    picture: str
    devices: set[str] = field(default_factory=set)
    """Those that are in the meeting now: one, or none after the person has left."""
    left: int = 0
    """How many rosters had come when the person left."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who has come, come back, or changed their name."""

    participant_id: str
    device_id: str
    name: str


def others_of(roster: Roster) -> list[RosterEntry]:
    """Everybody on a roster but the bot; a screen that is presented is nobody."""
    return [one for one in roster.entries if not one.is_self and one.is_presentation_of is None]


class People:
    """Everybody but the bot who is or was in the meeting."""

    def __init__(self) -> None:
        self._persons: dict[str, _Person] = {}
        self._of_device: dict[str, _Person] = {}
        self._rosters = 0

    @property
    def present(self) -> dict[str, str]:
        """Names of those who are there now, by participant, in the order of being seen first."""
        return {one.participant_id: one.name for one in self._persons.values() if one.devices}

    def participant_of(self, device_id: str) -> str:
        """Returns the participant whom a device belongs to; the device itself if nobody known."""
        person = self._of_device.get(device_id)
        return device_id if person is None else person.participant_id

    def update(self, entries: Iterable[RosterEntry]) -> tuple[list[Arrival], list[str]]:
        """Takes everybody who is there now, as ``others_of`` gives them.

        Returns who has come or changed, and the ids of those who have left.
        """
        self._rosters += 1
        there = {one.participant_id: one for one in entries}
        before = self.present
        for person in self._persons.values():
            if person.devices and not (person.devices & there.keys()):
                person.left = self._rosters
            person.devices &= there.keys()
        arrivals = []
        for device, entry in there.items():
            is_new = device not in self._of_device
            person = self._identify(device, entry)
            person.devices.add(device)
            person.name, person.picture = entry.name, entry.picture
            if is_new or before.get(person.participant_id) != entry.name:
                arrivals.append(Arrival(person.participant_id, device, entry.name))
        present = self.present
        return arrivals, [one for one in before if one not in present]

    def _identify(self, device: str, entry: RosterEntry) -> _Person:
        known = self._of_device.get(device)
        if known is not None and known.devices <= {device}:
            return known
        person = None if known is not None else self._one_who_left(entry)
        if person is None:
            participant_id = device
            while participant_id in self._persons:
                participant_id += "+"
            person = _Person(participant_id, entry.name, entry.picture)
            self._persons[participant_id] = person
        self._of_device[device] = person
        return person

    def _one_who_left(self, entry: RosterEntry) -> _Person | None:
        """The person of this name and picture who is not there, and left last."""
        if entry.name == UNNAMED:
            return None
        absent = (
            one
            for one in self._persons.values()
            if not one.devices and (one.name, one.picture) == (entry.name, entry.picture)
        )
        return max(absent, key=lambda one: one.left, default=None)
