"""The Protocol of a recognizer, what runs inside a local engine's process."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from sitin.contract.transcription import Utterance
from sitin.providers.transcription.local.audio import Samples


class CannotRunError(Exception):
    """The recognizer cannot work here until the operator mends something; says what."""


class Recognizer(Protocol):
    """Turns a stream of samples into utterances as it goes."""

    @property
    def model(self) -> str:
        """What it recognises with: name and version."""
        ...

    def utterances(self, blocks: Iterable[Samples]) -> Iterator[Utterance]:
        """Yield utterances in order; ``blocks`` are 16 kHz mono."""
        ...
