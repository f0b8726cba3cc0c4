"""What a recognizer's process says on its standard output, one JSON line each.

Written by ``process.py``, read by ``engine.py``.
"""

from typing import Annotated, Literal

from pydantic import Field

from sitin.contract.base import Frozen
from sitin.contract.transcription import Utterance

INSTALL_WHISPER = "install it with: make setup EXTRAS=whisper"
"""What to do where faster-whisper is asked for and not there."""


class Heard(Frozen):
    """The next utterance."""

    kind: Literal["heard"] = "heard"
    utterance: Utterance


class Finished(Frozen):
    """The last line of a process that has worked through its audio."""

    kind: Literal["finished"] = "finished"
    duration: float
    """Seconds of audio."""
    model: str
    """What recognised it, for the raw transcription."""


class Refused(Frozen):
    """The last line of a process that cannot do its work."""

    kind: Literal["refused"] = "refused"
    message: str
    by_operator: bool
    """Whether the operator can mend it; else the audio is at fault."""


Line = Annotated[Heard | Finished | Refused, Field(discriminator="kind")]
