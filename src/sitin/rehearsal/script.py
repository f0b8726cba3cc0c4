"""What happens in a rehearsal meeting: frozen models, also read from JSON. Used by everybody.

Times are seconds on the script's clock unless a field says otherwise.
"""

import json
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from sitin.contract.base import Frozen
from sitin.rehearsal.errors import ScriptError

Seconds = Annotated[float, Field(ge=0, le=24 * 3600, allow_inf_nan=False)]
"""A moment or a duration; the longest meeting is a day."""

Height = Literal[180, 360, 720]
"""Lines of a 16:9 picture: 320x180, 640x360 or 1280x720."""

MAX_PARTICIPANTS = 16
"""A picture carries the number of its feed in five bits, and everybody may present as well."""


class EspeakVoice(Frozen):
    """How espeak-ng speaks for a participant."""

    name: str = Field(default="en-us", pattern=r"^[A-Za-z0-9+_-]+$")
    """A voice as ``espeak-ng --voices`` lists it, with an optional variant (``en-us+f3``)."""
    speed: int = Field(default=160, ge=80, le=450)
    """Words a minute."""
    pitch: int = Field(default=50, ge=0, le=99)


class Participant(Frozen):
    """Somebody in the meeting."""

    name: str = Field(min_length=1, max_length=100)
    id: str = ""
    """What the timeline calls them; the name where it is not given."""
    voice: EspeakVoice | None = None
    """For spoken text; ``None`` takes a voice of its own by position."""
    video: bool = True
    """Whether the camera is on when they join."""
    muted: bool = False
    host: bool = False
    picture: str = ""
    """An address of a picture, passed on in the roster and never fetched."""
    joins_at_start: bool = True
    """Otherwise a ``join`` in the timeline brings them in."""

    @model_validator(mode="before")
    @classmethod
    def _name_is_the_id(cls, data: object) -> object:
        if isinstance(data, dict) and not data.get("id") and isinstance(data.get("name"), str):
            return {**data, "id": data["name"]}
        return data


class Event(Frozen):
    """Something that happens at a moment of the script's clock."""

    at: Seconds


class ParticipantEvent(Event):
    """Something a participant does."""

    who: str
    """The participant's id."""


class Say(ParticipantEvent):
    """A participant speaks: a recording, or text by espeak-ng."""

    do: Literal["say"] = "say"
    text: str = Field(min_length=1, max_length=5000)
    """What is said; the transcript where ``audio`` is given."""
    audio: Path | None = None
    """A recording that PyAV can read, of any rate; relative to the script's file."""


class Join(ParticipantEvent):
    """A participant comes, or comes back; a new device of theirs appears."""

    do: Literal["join"] = "join"


class Leave(ParticipantEvent):
    """A participant leaves."""

    do: Literal["leave"] = "leave"


class Present(ParticipantEvent):
    """A participant shares a screen."""

    do: Literal["present"] = "present"


class StopPresenting(ParticipantEvent):
    """A participant stops sharing."""

    do: Literal["stop_presenting"] = "stop_presenting"


class Mute(ParticipantEvent):
    """A participant's microphone goes off; what they say is not sent."""

    do: Literal["mute"] = "mute"


class Unmute(ParticipantEvent):
    """A participant's microphone goes on."""

    do: Literal["unmute"] = "unmute"


class CameraOn(ParticipantEvent):
    """A participant's camera goes on."""

    do: Literal["camera_on"] = "camera_on"


class CameraOff(ParticipantEvent):
    """A participant's camera goes off."""

    do: Literal["camera_off"] = "camera_off"


class Chat(ParticipantEvent):
    """A participant writes to everybody."""

    do: Literal["chat"] = "chat"
    text: str = Field(min_length=1, max_length=500)


class RemoveBot(Event):
    """Every visitor is removed from the meeting."""

    do: Literal["remove_bot"] = "remove_bot"


class End(Event):
    """The host ends the meeting for everyone."""

    do: Literal["end"] = "end"


TimelineEvent = Annotated[
    Say
    | Join
    | Leave
    | Present
    | StopPresenting
    | Mute
    | Unmute
    | CameraOn
    | CameraOff
    | Chat
    | RemoveBot
    | End,
    Field(discriminator="do"),
]


class Entrance(StrEnum):
    """What a visitor sees who opens the meeting's address."""

    OPEN = "open"
    """The page on which one gives a name and asks to join."""
    CANNOT_JOIN = "cannot_join"
    SIGN_IN = "sign_in"
    """A page that asks for an account."""
    SIGN_IN_REDIRECT = "sign_in_redirect"
    """A redirect to accounts.google.com."""
    CAPTCHA = "captcha"
    """The page of ``OPEN`` with a visible CAPTCHA before it."""
    NOT_FOUND = "not_found"
    EXPIRED = "expired"
    INVALID_NAME = "invalid_name"


class PreJoin(Frozen):
    """Variants of the page before the call."""

    dialogs: tuple[Literal["devices", "got_it", "escape"], ...] = ()
    """Dismissable dialogs, in order: "Continue without microphone and camera", "Got it"."""
    name_field: Literal["label", "placeholder", "plain"] = "label"
    """Whether the name field is known by its aria-label, its placeholder, or by being there."""
    join_button: Literal[
        "Ask to join",
        "Ask to join anyway",
        "Join now",
        "Join the call now",
        "Join anyway",
        "Join here too",
    ] = "Ask to join"
    microphone_on: bool = True
    camera_on: bool = True
    audio_elements: bool = True
    """False is Meet's variant without ``<audio>`` elements, which plays by Web Audio."""
    layout: Literal["tiled", "spotlight", "sidebar"] = "tiled"
    """How the call is laid out until somebody chooses."""
    second_join: bool = False
    """A further "Join now" after admission."""
    consent: Literal["recorded", "transcribed", "gemini"] | None = None
    """A consent dialog after admission."""
    curly_apostrophes: bool = False
    """Typographic apostrophes in every text."""


class Admission(Frozen):
    """How those inside answer a visitor who asks to join. Times run from the asking."""

    answer: Literal["admit", "deny", "no_response", "cannot_join", "connection_problem", "wait"] = (
        "admit"
    )
    """``wait`` leaves it to the live control."""
    after: Seconds = 0.0
    host_arrives_after: Seconds | None = 0.0
    """Before that the visitor waits for the host; ``None`` leaves it to the live control."""


class Network(Frozen):
    """What happens to the RTP packets on their way to a visitor."""

    loss: float = Field(default=0.0, ge=0, le=0.9)
    """The share of packets that are dropped, repeated ones included."""
    delay: float = Field(default=0.0, ge=0, le=5)
    """Seconds added to every packet."""
    jitter: float = Field(default=0.0, ge=0, le=2)
    """Seconds, uniformly between 0 and this, added further; packets keep their order."""
    seed: int = 0
    """Of the generator that decides, so that runs are alike."""


class RampStep(Frozen):
    """From this moment on (the next whole second), pictures have this height."""

    at: Seconds
    height: Height


class Video(Frozen):
    """How pictures are made and sent; a keyframe each second."""

    codec: Literal["vp8", "h264"] = "vp8"
    fps: Literal[5, 10, 15, 25, 30] = 25
    resolution: tuple[RampStep, ...] = (RampStep(at=0, height=720),)
    """A ramp of resolutions; the first step is at 0."""
    grain: bool = False
    """Noise as a camera's sensor makes it, which an encoder finds harder than flat colour."""
    sync_marks: bool = False
    """A white flash in every picture and a beep of the first participant, 80 ms each and at the
    same instant, every two seconds; for measuring how audio and video keep together. Beeps are
    not turns."""

    @field_validator("resolution")
    @classmethod
    def _ramp_is_ordered(cls, steps: tuple[RampStep, ...]) -> tuple[RampStep, ...]:
        if not steps or steps[0].at != 0:
            raise ValueError("the first step has to be at 0")
        if any(later.at <= earlier.at for earlier, later in pairwise(steps)):
            raise ValueError("steps have to be in the order of time")
        return steps


class Script(Frozen):
    """One meeting."""

    code: str = Field(default="abc-defg-hij", pattern=r"^[a-z]{3}-[a-z]{4}-[a-z]{3}$")
    """The code in ``https://meet.google.com/<code>``."""
    participants: tuple[Participant, ...] = Field(min_length=1, max_length=MAX_PARTICIPANTS)
    timeline: tuple[TimelineEvent, ...] = ()
    clock_starts: Literal["admission", "meeting"] = "admission"
    """When the clock is 0: when the first visitor is admitted and its media is connected, or when
    the meeting opens."""
    entrance: Entrance = Entrance.OPEN
    prejoin: PreJoin = PreJoin()
    admission: Admission = Admission()
    network: Network = Network()
    video: Video = Video()

    @field_validator("participants")
    @classmethod
    def _ids_are_unique(cls, participants: tuple[Participant, ...]) -> tuple[Participant, ...]:
        ids = [participant.id for participant in participants]
        for participant_id in ids:
            if ids.count(participant_id) > 1:
                raise ValueError(
                    f"two participants are called {participant_id!r}; give them an id each"
                )
        return participants

    @field_validator("timeline", mode="after")
    @classmethod
    def _timeline_fits(
        cls, timeline: tuple[TimelineEvent, ...], info: ValidationInfo
    ) -> tuple[TimelineEvent, ...]:
        participants: tuple[Participant, ...] = info.data.get("participants", ())
        if participants:
            _check_timeline(participants, timeline)
        return timeline

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        ends = [event.at for event in self.timeline if isinstance(event, End)]
        if len(ends) > 1:
            raise ValueError("timeline: the meeting can end only once")
        if ends:
            late = next((e for e in self.timeline if e.at > ends[0]), None)
            if late is not None:
                raise ValueError(
                    f"timeline: {late.do} at {late.at:g} comes after the end at {ends[0]:g}"
                )
        return self

    def participant(self, participant_id: str) -> Participant:
        """The participant of this id. Raises ``ScriptError`` when there is none."""
        for participant in self.participants:
            if participant.id == participant_id:
                return participant
        raise ScriptError(_nobody("who", participant_id, self.participants))


def _nobody(field: str, who: str, participants: tuple[Participant, ...]) -> str:
    known = ", ".join(repr(participant.id) for participant in participants)
    return f"{field}: nobody is called {who!r}; the participants are {known}"


_STATE_RULES: dict[str, tuple[str, bool, str]] = {
    "join": ("present", False, "is in the meeting already"),
    "leave": ("present", True, "is not in the meeting"),
    "present": ("presenting", False, "presents already"),
    "stop_presenting": ("presenting", True, "does not present"),
}
"""event → the state it changes, the value it needs before, what is wrong otherwise."""


def _check_timeline(
    participants: tuple[Participant, ...], timeline: tuple[TimelineEvent, ...]
) -> None:
    """Walk through the timeline and refuse what cannot happen."""
    states = {p.id: {"present": p.joins_at_start, "presenting": False} for p in participants}
    for index, event in sorted(enumerate(timeline), key=lambda item: item[1].at):
        if not isinstance(event, ParticipantEvent):
            continue
        state = states.get(event.who)
        if state is None:
            raise ValueError(_nobody(f"{index}.who", event.who, participants))
        if event.do != "join" and not state["present"]:
            raise ValueError(
                f"{index}.at: {event.who!r} is not in the meeting at {event.at:g} s and cannot "
                f"{event.do.replace('_', ' ')}; let them join before"
            )
        rule = _STATE_RULES.get(event.do)
        if rule is None:
            continue
        field, needed, wrong = rule
        if state[field] is not needed:
            raise ValueError(f"{index}.do: {event.who!r} {wrong} at {event.at:g} s")
        state[field] = not needed
        if event.do == "leave":
            state["presenting"] = False


def load_script(path: Path) -> Script:
    """Read a script from a JSON file; recordings are looked for beside it.

    Raises ``ScriptError`` naming the field.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ScriptError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ScriptError(f"{path}: is not JSON ({error})") from error
    return parse_script(data, base=path.parent, source=str(path))


def parse_script(data: object, *, base: Path, source: str = "script") -> Script:
    """Check a script's data; relative recordings are looked for in ``base``.

    Raises ``ScriptError`` naming the field.
    """
    try:
        script = Script.model_validate(data)
    except ValidationError as error:
        raise ScriptError(f"{source}: {sentence_of(error)}") from error
    timeline: list[TimelineEvent] = []
    for index, event in enumerate(script.timeline):
        if isinstance(event, Say) and event.audio is not None:
            audio = base / event.audio
            if not audio.is_file():
                raise ScriptError(f"{source}: timeline.{index}.audio: there is no file {audio}")
            timeline.append(event.model_copy(update={"audio": audio}))
        else:
            timeline.append(event)
    return script.model_copy(update={"timeline": tuple(timeline)})


def sentence_of(error: ValidationError) -> str:
    """The first of pydantic's errors as ``field: what is wrong``."""
    first = error.errors(include_url=False)[0]
    loc = first["loc"]
    if loc[:1] == ("timeline",) and len(loc) > 3:
        loc = (*loc[:2], *loc[3:])  # the kind of event, which pydantic puts in between
    where = ".".join(str(part) for part in loc)
    cause = first.get("ctx", {}).get("error")
    what = str(cause) if isinstance(cause, ValueError) else first["msg"]
    return f"{where}{'.' if what[:1].isdigit() else ': '}{what}" if where else what
