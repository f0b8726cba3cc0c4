"""Speech for tests: recordings of people where they are at hand, espeak-ng's voice elsewhere."""

import io
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

RATE = 48_000
_TRANSCRIPTS = "transcripts.json"
_SENTENCES = {
    "ada-1.flac": "the first version is due on friday",
    "ada-2.flac": "thank you both and good bye",
    "ben.x.flac": "my part is done and i have tested it",
}
Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Saying:
    """Something said: by whom, what, and how it sounds (48 kHz mono)."""

    speaker: str
    text: str
    samples: Samples

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


@dataclass(frozen=True)
class Turn:
    """Where in a track something is said, in seconds."""

    start: float
    saying: Saying

    @property
    def end(self) -> float:
        return self.start + self.saying.seconds


def recorded_sayings() -> list[Saying]:
    """The recordings of the shared folder, or nothing where it is not."""
    folder = _shared_speech()
    if folder is None:
        return []
    texts: dict[str, str] = json.loads((folder / _TRANSCRIPTS).read_text())
    return [
        Saying(name.split("-")[0].split(".")[0], text, read_audio(folder / name))
        for name, text in sorted(texts.items())
    ]


def synthetic_saying(speaker: str, text: str, *, voice: str = "en-us", pitch: int = 50) -> Saying:
    """A sentence in espeak-ng's voice."""
    spoken = subprocess.run(
        ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", "140", "--stdout", text],
        check=True,
        capture_output=True,
    )
    return Saying(speaker, text, read_audio(io.BytesIO(spoken.stdout)))


def write_speech(directory: Path) -> dict[str, str]:
    """Make a directory of recordings of two speakers with their transcripts; gives these."""
    directory.mkdir()
    recorded = _shared_speech()
    if recorded is not None:
        every: dict[str, str] = json.loads((recorded / _TRANSCRIPTS).read_text())
        texts = {name: text for name, text in every.items() if name.startswith("speaker")}
        for name in texts:
            shutil.copy(recorded / name, directory)
    else:
        texts = _SENTENCES
        for name, text in texts.items():
            voice = "en-us+f3" if name.startswith("ada") else "en-us+m3"
            write_flac(directory / name, synthetic_saying(name, text, voice=voice).samples)
    (directory / _TRANSCRIPTS).write_text(json.dumps(texts))
    return texts


def read_audio(source: Path | io.BytesIO) -> Samples:
    """Decode any audio file to 48 kHz mono."""
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    parts: list[Samples] = []
    with av.open(str(source) if isinstance(source, Path) else source, "r") as container:
        for frame in [*container.decode(audio=0), None]:
            parts += [
                out.to_ndarray().reshape(-1).astype(np.int16) for out in resampler.resample(frame)
            ]
    return np.concatenate(parts)


def write_track(path: Path, turns: Sequence[Turn], *, seconds: float) -> None:
    """Write a track that is silent but for the turns, as the recorder writes them: 48 kHz FLAC."""
    track = np.zeros(int(seconds * RATE), np.int16)
    for turn in turns:
        at = int(turn.start * RATE)
        samples = turn.saying.samples[: len(track) - at]
        track[at : at + len(samples)] += samples
    write_flac(path, track)


def write_flac(path: Path, samples: Samples) -> None:
    """Write samples as 48 kHz mono FLAC."""
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE)
        stream.layout = "mono"
        for at in range(0, len(samples), 4096):
            frame = AudioFrame.from_ndarray(samples[None, at : at + 4096], "s16", "mono")
            frame.sample_rate = RATE
            frame.pts = at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _shared_speech() -> Path | None:
    named = os.environ.get("SITIN_SHARED")
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = (Path(named) if named else beside) / "data" / "speech"
    return folder if (folder / _TRANSCRIPTS).is_file() else None
