"""CMU PocketSphinx with the English model in its wheel. For the process beside it."""

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

from pocketsphinx import Decoder

from sitin.contract.transcription import Utterance, Word
from sitin.providers.transcription.local.audio import Samples
from sitin.providers.transcription.local.speech import Stretch, stretches

FRAME_SECONDS = 0.01
"""The decoder counts in frames of 10 ms."""

_VARIANT = re.compile(r"\(\d+\)$")


class PocketsphinxRecognizer:
    """A ``Recognizer`` for one speaker: the decoder adapts to the voice it has heard so far."""

    def __init__(self) -> None:
        self._decoder = Decoder(loglevel="FATAL")

    @property
    def model(self) -> str:
        """The package's version and the name of the model in it."""
        return f"pocketsphinx {version('pocketsphinx')} en-us"

    def utterances(self, blocks: Iterable[Samples]) -> Iterator[Utterance]:
        """One utterance per stretch of speech in which words were recognised."""
        for stretch in stretches(blocks):
            utterance = self._recognise(stretch)
            if utterance is not None:
                yield utterance

    def _recognise(self, stretch: Stretch) -> Utterance | None:
        decoder = self._decoder
        decoder.start_utt()
        decoder.process_raw(stretch.samples.tobytes(), full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            return None
        words = [_word(segment, stretch) for segment in decoder.seg() if _is_word(segment.word)]
        if not words:
            return None
        return Utterance(
            text=" ".join(word.word for word in words),
            language="en",
            start=words[0].start,
            end=words[-1].end,
            confidence=sum(word.confidence for word in words) / len(words),
            words=tuple(words),
        )


def _is_word(label: str) -> bool:
    # Silence and noise are labelled <sil>, <s>, </s>, [NOISE] and the like.
    return not label.startswith(("<", "[", "+"))


def _word(segment: Any, stretch: Stretch) -> Word:
    start = stretch.start + segment.start_frame * FRAME_SECONDS
    end = stretch.start + (segment.end_frame + 1) * FRAME_SECONDS
    return Word(
        # A second pronunciation is labelled "and(2)".
        word=_VARIANT.sub("", segment.word),
        start=round(start, 3),
        end=round(min(end, stretch.end), 3),
        confidence=round(min(1.0, max(0.0, segment.prob)), 4),
    )
