"""Speech as packets ready to send: recordings or espeak-ng, levels, sounds, Opus. For meetings.

All audio is 48 kHz mono in packets of 20 ms, one level and one Opus frame per packet.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from sitin.rehearsal.errors import ScriptError
from sitin.rehearsal.script import EspeakVoice, Participant, Say

RATE = 48_000
PACKET_SAMPLES = 960
PACKET_SECONDS = PACKET_SAMPLES / RATE
PAUSE_SECONDS = 0.8
"""A shorter pause belongs to the turn it is in."""
SILENCE_LEVEL = 127
"""RFC 6464's level of silence: minus the level in dB below full scale."""
OPUS_SILENCE = b"\xf8\xff\xfe"
"""20 ms of silence as libopus encodes digital silence (CELT, full band, one frame)."""

_BITRATE = 32_000
_LONGEST_RECORDING = 3600.0
_TAIL_PACKETS = 10
"""200 ms are sent after the last sound, in which a room fades."""
_MIN_SOUND_PACKETS = 3
"""Less than 60 ms of energy is a click, not a sound of speech."""

_DEFAULT_VOICES = (
    EspeakVoice(name="en-us+f3", speed=165, pitch=60),
    EspeakVoice(name="en-gb", speed=155, pitch=35),
    EspeakVoice(name="en-gb-scotland+f2", speed=160, pitch=70),
    EspeakVoice(name="en-us+m7", speed=150, pitch=25),
)


@dataclass(frozen=True, slots=True)
class Sound:
    """A stretch of sound without a pause of ``PAUSE_SECONDS``; one turn of its speaker."""

    first: int
    """Index of its first packet."""
    last: int
    """Index of its last packet."""
    text: str
    """What is said in it."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One piece of speech, ready to send."""

    text: str
    packets: tuple[bytes, ...]
    """Opus frames of 20 ms."""
    levels: tuple[int, ...]
    """A level per packet as RFC 6464 has it: 0 is full scale, 127 is silence."""
    sounds: tuple[Sound, ...]

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.packets) * PACKET_SECONDS


def voice_of(participant: Participant, position: int) -> EspeakVoice:
    """The voice a participant's text is spoken with; ``position`` counts from 0."""
    return participant.voice or _DEFAULT_VOICES[position % len(_DEFAULT_VOICES)]


async def utterance(say: Say, voice: EspeakVoice) -> Utterance:
    """Make the packets of one ``say`` of a script. Raises ``ScriptError``."""
    if say.audio is not None:
        return await asyncio.to_thread(from_recording, say.audio, say.text)
    with tempfile.TemporaryDirectory(prefix="sitin-voice-") as directory:
        spoken = Path(directory) / "speech.wav"
        await _speak(say.text, voice, spoken)
        return await asyncio.to_thread(from_recording, spoken, say.text)


def from_recording(path: Path, text: str) -> Utterance:
    """Read a recording of any format and rate that PyAV reads. Raises ``ScriptError``."""
    return from_samples(read_samples(path), text, source=str(path))


def from_samples(samples: NDArray[np.int16], text: str, *, source: str = "audio") -> Utterance:
    """Encode samples (48 kHz, mono). Raises ``ScriptError`` where nothing can be heard."""
    whole = samples[: len(samples) // PACKET_SAMPLES * PACKET_SAMPLES]
    rest = samples[len(whole) :]
    if len(rest):
        padded = np.zeros(PACKET_SAMPLES, np.int16)
        padded[: len(rest)] = rest
        whole = np.concatenate([whole, padded])
    frames = whole.reshape(-1, PACKET_SAMPLES)
    decibels = _decibels(frames)
    spans = find_sounds(decibels)
    if not spans:
        raise ScriptError(f"{source}: nothing can be heard in it")
    texts = _divide(text, [last - first + 1 for first, last in spans])
    # Silence after the last sound is not sent: an SFU takes a track away from whoever has stopped.
    length = min(len(frames), spans[-1][1] + 1 + _TAIL_PACKETS)
    return Utterance(
        text=text,
        packets=tuple(_encode(frames[:length])),
        levels=tuple(min(SILENCE_LEVEL, max(0, round(-value))) for value in decibels[:length]),
        sounds=tuple(
            Sound(first, last, part) for (first, last), part in zip(spans, texts, strict=True)
        ),
    )


def read_samples(path: Path) -> NDArray[np.int16]:
    """A recording's samples at 48 kHz mono. Raises ``ScriptError``."""
    chunks: list[NDArray[np.int16]] = []
    total = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise ScriptError(f"{path}: has no audio")
            resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
            for frame in container.decode(audio=0):
                for part in resampler.resample(frame):
                    chunks.append(part.to_ndarray()[0].astype(np.int16))
                    total += part.samples
                if total > _LONGEST_RECORDING * RATE:
                    raise ScriptError(f"{path}: is longer than {_LONGEST_RECORDING:g} s")
            chunks.extend(
                part.to_ndarray()[0].astype(np.int16) for part in resampler.resample(None)
            )
    except (av.FFmpegError, OSError) as error:
        raise ScriptError(f"{path}: is no audio that can be read ({error})") from error
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int16)


def find_sounds(decibels: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Stretches of sound in a row of packet levels (dB below full scale, at most 0).

    A packet is sound when it is 10 dB above the quietest twentieth of the recording and not more
    than 30 dB below its loud parts; recordings with noise behind the voice are told apart from
    their noise that way. Stretches closer than ``PAUSE_SECONDS`` are one.
    """
    if len(decibels) == 0:
        return []
    floor, loud = np.percentile(decibels, 5), np.percentile(decibels, 95)
    threshold = max(min(max(floor + 10, loud - 30), loud - 20), -60.0)
    runs: list[tuple[int, int]] = []
    for index in np.flatnonzero(decibels > threshold).tolist():
        if runs and index - runs[-1][1] == 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    sounds: list[tuple[int, int]] = []
    for first, last in runs:
        if last - first + 1 < _MIN_SOUND_PACKETS:
            continue
        if sounds and (first - sounds[-1][1] - 1) * PACKET_SECONDS < PAUSE_SECONDS:
            sounds[-1] = (sounds[-1][0], last)
        else:
            sounds.append((first, last))
    return sounds


def _divide(text: str, lengths: list[int]) -> list[str]:
    """Give each stretch of sound its share of the words, by length; all words stay, in order."""
    words = text.split()
    total = sum(lengths)
    parts, taken, seen = [], 0, 0
    for length in lengths:
        seen += length
        until = round(len(words) * seen / total)
        parts.append(" ".join(words[taken:until]))
        taken = until
    return parts


def _decibels(frames: NDArray[np.int16]) -> NDArray[np.float64]:
    power = np.mean((frames.astype(np.float64) / 32768) ** 2, axis=1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-13)), dtype=np.float64)


def _encode(frames: NDArray[np.int16]) -> list[bytes]:
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, AudioCodecContext)
    codec.sample_rate = RATE
    codec.layout = "mono"
    codec.format = "s16"
    codec.bit_rate = _BITRATE
    codec.time_base = Fraction(1, RATE)
    codec.options = {"application": "voip", "frame_duration": "20"}
    packets: list[bytes] = []
    for index, samples in enumerate(frames):
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = index * PACKET_SAMPLES
        packets.extend(bytes(packet) for packet in codec.encode(frame))
    packets.extend(bytes(packet) for packet in codec.encode(None))
    # The encoder looks ahead and gives one packet more; levels and packets have to stay in step.
    return packets[: len(frames)]


async def _speak(text: str, voice: EspeakVoice, target: Path) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            "espeak-ng",
            "-v",
            voice.name,
            "-s",
            str(voice.speed),
            "-p",
            str(voice.pitch),
            "-w",
            str(target),
            "--stdin",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise ScriptError(
            "espeak-ng is not installed; install it (apt install espeak-ng) or give recordings"
        ) from error
    _, complaint = await process.communicate(text.encode())
    if process.returncode != 0:
        reason = complaint.decode(errors="replace").strip() or f"exit code {process.returncode}"
        raise ScriptError(f"espeak-ng cannot say {text[:40]!r} as {voice.name}: {reason}")
