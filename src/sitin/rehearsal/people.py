"""Who is in a meeting and what they show, while it is held. For the meeting and its visitors."""

import uuid
from dataclasses import dataclass, field
from typing import Literal

from sitin.rehearsal.pictures import Card
from sitin.rehearsal.script import Participant, Video

FeedKind = Literal["camera", "presentation"]


@dataclass(eq=False, slots=True)
class Feed:
    """One picture that is being sent: somebody's camera, or a screen they share."""

    person: "Person"
    kind: FeedKind
    card: Card
    device_id: str
    """The device the roster names for it; a shared screen has one of its own."""
    stream_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """Id of the MediaStream; a new one each time a camera or a screen is switched on."""
    live: bool = True
    """False once it is switched off; it is never switched on again."""


@dataclass(eq=False, slots=True)
class Person:
    """A participant of the script, in the meeting or not."""

    spec: Participant
    position: int
    """In the script, from 0."""
    video: Video
    device_id: str = ""
    """Of the present stay; empty while they are not in the meeting."""
    source: int = 0
    """Contributing source of the present stay."""
    muted: bool = False
    camera: Feed | None = None
    presentation: Feed | None = None

    @property
    def present(self) -> bool:
        """Whether they are in the meeting."""
        return bool(self.device_id)

    @property
    def feeds(self) -> list[Feed]:
        """What they show now."""
        return [feed for feed in (self.camera, self.presentation) if feed is not None]

    def card(self, kind: FeedKind) -> Card:
        """What a feed of theirs shows."""
        return Card(
            title=self.spec.name,
            number=2 * self.position + (kind == "presentation"),
            presentation=kind == "presentation",
            grain=self.video.grain,
            sync_marks=self.video.sync_marks,
        )
