"""Sounds made by calculation, for tests that need to know where they begin and end."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sitin.rehearsal.voices import RATE


def tone(*parts: tuple[float, bool], rate: int = RATE, level: float = 0.3) -> NDArray[np.int16]:
    """Stretches of (seconds, whether there is sound), with faint noise under all of it."""
    generator = np.random.default_rng(0)
    pieces = []
    for seconds, sounding in parts:
        count = round(seconds * rate)
        noise = generator.normal(0, 0.0005, count)
        wave_ = level * np.sin(2 * np.pi * 220 * np.arange(count) / rate) if sounding else 0
        pieces.append(wave_ + noise)
    return np.asarray(np.concatenate(pieces) * 32767, dtype=np.int16)


def write_wav(path: Path, samples: NDArray[np.int16], rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path
