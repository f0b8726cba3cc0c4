"""Word error rate and cost of the engines that run here, on recordings of people.

``python -m bench.transcription`` prints a table; ``--json FILE`` writes it as well. It reads the
recordings that the tests read (``tests/speech.py``) and measures nothing where they are not.
Each speaker's sentences make one track with pauses of 1.5 s, as a participant's audio is.
"""

import argparse
import asyncio
import json
import resource
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Any

import jiwer
from tests.speech import Saying, Turn, recorded_sayings, write_track

from sitin.contract.transcription import LocalEngine
from sitin.providers.transcription.registry import build_engines
from sitin.providers.transcription.settings import TranscriptionSettings

PAUSE = 1.5
"""Seconds."""
_NORMAL = jiwer.Compose(
    [jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.RemoveMultipleSpaces(), jiwer.Strip()]
)


async def measure() -> list[dict[str, Any]]:
    """A row per engine: errors among words, audio and CPU seconds, peak memory in MB."""
    sayings = sorted(recorded_sayings(), key=lambda saying: saying.speaker)
    engines = build_engines(TranscriptionSettings())
    rows = [await _measure(name, engine, sayings) for name, engine in engines.local.items()]
    await engines.aclose()
    return rows


async def _measure(name: str, engine: LocalEngine, sayings: list[Saying]) -> dict[str, Any]:
    said: list[str] = []
    heard: list[str] = []
    seconds = 0.0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as directory:
        for speaker, group in groupby(sayings, key=lambda saying: saying.speaker):
            turns, start = [], 1.0
            for saying in group:
                turns.append(Turn(start, saying))
                start += saying.seconds + PAUSE
            track = Path(directory) / f"{speaker}.flac"
            write_track(track, turns, seconds=start)
            answer = await engine.transcribe(track, params={})
            said.append(_NORMAL(" ".join(turn.saying.text for turn in turns)))
            heard.append(_NORMAL(" ".join(utterance.text for utterance in answer.utterances)))
            seconds += sum(turn.saying.seconds for turn in turns)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = jiwer.process_words(said, heard)
    words = result.hits + result.substitutions + result.deletions
    return {
        "engine": name,
        "words": words,
        "errors": result.substitutions + result.deletions + result.insertions,
        "wer": round(result.wer, 3),
        "speech_seconds": round(seconds, 1),
        "cpu_seconds": round(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1
        ),
        "peak_mb": after.ru_maxrss // 1024,
        "heard": dict(zip(sorted({saying.speaker for saying in sayings}), heard, strict=True)),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure the local transcription engines.")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    options = parser.parse_args()
    if not recorded_sayings():
        print("no recordings of people here: point SITIN_SHARED at the shared folder")
        return
    rows = asyncio.run(measure())
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))
    heads = ("words", "errors", "WER", "speech s", "CPU s", "MB")
    print(f"{'engine':16}" + "".join(f"{head:>9}" for head in heads))
    for row in rows:
        print(
            f"{row['engine']:16}{row['words']:9}{row['errors']:9}{row['wer']:9.1%}"
            f"{row['speech_seconds']:9}{row['cpu_seconds']:9}{row['peak_mb']:9}"
        )


if __name__ == "__main__":
    main()
