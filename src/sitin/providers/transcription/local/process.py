"""The process of a local engine: ``python -m`` this module, started by ``engine.py``.

Reads one audio file, says ``messages.Line`` on its standard output, and ends with code 0 when the
last line was ``Finished`` or ``Refused``. It ends by itself when its starter is gone.
"""

import argparse
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from sitin.contract.base import Frozen
from sitin.providers.transcription.local.audio import (
    SAMPLE_RATE,
    Samples,
    UnreadableAudioError,
    blocks,
)
from sitin.providers.transcription.local.messages import Finished, Heard, Refused
from sitin.providers.transcription.local.recognizer import CannotRunError, Recognizer

NICENESS = 10


def main(arguments: list[str]) -> None:
    """Work through the file that the arguments name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recognizer", choices=("pocketsphinx", "faster-whisper"))
    parser.add_argument("audio", type=Path)
    parser.add_argument("--model", default="")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compute-type", default="default")
    parser.add_argument("--language")
    options = parser.parse_args(arguments)

    os.nice(NICENESS)
    threading.Thread(target=_end_with_starter, daemon=True).start()
    try:
        recognizer = _recognizer(options)
        counted = _Counted(blocks(options.audio))
        for utterance in recognizer.utterances(counted):
            _say(Heard(utterance=utterance))
        # What follows the last word is counted too.
        for _ in counted:
            pass
        _say(Finished(duration=counted.samples / SAMPLE_RATE, model=recognizer.model))
    except CannotRunError as error:
        _say(Refused(message=str(error), by_operator=True))
    except UnreadableAudioError as error:
        _say(Refused(message=f"The audio cannot be read: {error}.", by_operator=False))


def _recognizer(options: argparse.Namespace) -> Recognizer:
    # Late: each loads what the other does not need.
    if options.recognizer == "pocketsphinx":
        from sitin.providers.transcription.local.pocketsphinx import PocketsphinxRecognizer

        return PocketsphinxRecognizer()
    from sitin.providers.transcription.local.whisper import WhisperRecognizer

    return WhisperRecognizer(
        model=options.model,
        device=options.device,
        compute_type=options.compute_type,
        language=options.language,
    )


class _Counted:
    """Counts the samples that pass."""

    def __init__(self, source: Iterable[Samples]) -> None:
        self.samples = 0
        self._source = iter(source)

    def __iter__(self) -> Iterator[Samples]:
        return self

    def __next__(self) -> Samples:
        block = next(self._source)
        self.samples += len(block)
        return block


def _say(line: Frozen) -> None:
    sys.stdout.write(line.model_dump_json() + "\n")
    sys.stdout.flush()


def _end_with_starter() -> None:
    """The starter holds the other end of standard input and never writes; its end is the signal."""
    # Not through sys.stdin: its lock would be held when the interpreter shuts down.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
