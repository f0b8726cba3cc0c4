from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext

from sitin.rehearsal.errors import ScriptError
from sitin.rehearsal.script import EspeakVoice, Participant, Say
from sitin.rehearsal.voices import (
    OPUS_SILENCE,
    PACKET_SECONDS,
    RATE,
    from_recording,
    from_samples,
    read_samples,
    utterance,
    voice_of,
)
from tests.rehearsal.sounds import tone, write_wav

pytestmark = pytest.mark.unit


def spans(*parts: tuple[float, bool]) -> list[tuple[float, float]]:
    spoken = from_samples(tone(*parts), "one two three four")
    return [
        (round(sound.first * PACKET_SECONDS, 2), round((sound.last + 1) * PACKET_SECONDS, 2))
        for sound in spoken.sounds
    ]


def decode(packets: list[bytes]) -> list[np.ndarray]:
    codec = av.CodecContext.create("libopus", "r")
    assert isinstance(codec, AudioCodecContext)
    codec.sample_rate, codec.layout, codec.format = RATE, "mono", "s16"
    return [frame.to_ndarray() for packet in packets for frame in codec.decode(av.Packet(packet))]


def test_a_sound_is_found_from_its_first_to_its_last_packet() -> None:
    assert spans((0.4, False), (1.0, True), (0.6, False)) == [(0.4, 1.4)]


def test_a_pause_under_800_ms_belongs_to_the_sound() -> None:
    assert spans((0.2, False), (1.0, True), (0.78, False), (1.0, True)) == [(0.2, 2.98)]


def test_a_pause_of_800_ms_parts_two_sounds() -> None:
    found = spans((0.2, False), (1.0, True), (0.8, False), (0.6, True))
    assert found == [(0.2, 1.2), (2.0, 2.6)]


def test_a_click_is_no_sound() -> None:
    assert spans((0.2, False), (0.04, True), (1.0, False), (1.0, True)) == [(1.24, 2.24)]


def test_words_are_divided_by_length_and_none_is_lost() -> None:
    spoken = from_samples(
        tone((0.2, False), (3.0, True), (1.0, False), (1.0, True)), "one two three four"
    )
    assert [sound.text for sound in spoken.sounds] == ["one two three", "four"]


def test_silence_after_the_last_sound_is_not_sent() -> None:
    spoken = from_samples(tone((1.0, True), (2.0, False)), "one")
    assert spoken.duration == pytest.approx(1.2)
    assert len(spoken.levels) == len(spoken.packets)


def test_levels_are_decibels_below_full_scale() -> None:
    # A sine of 0.3 of full scale has 20 log10(0.3 / sqrt 2) = -13.5 dB.
    spoken = from_samples(tone((0.5, False), (0.5, True)), "one")
    assert spoken.levels[40] == 13
    assert spoken.levels[10] > 60


def test_packets_decode_to_what_was_encoded() -> None:
    decoded = decode(list(from_samples(tone((0.2, False), (0.6, True)), "one").packets))
    assert len(decoded) == 40
    assert np.abs(decoded[5]).max() < 300
    assert 8000 < np.abs(decoded[30]).max() < 12000


def test_the_packet_of_silence_is_silent() -> None:
    assert all(np.abs(samples).max() <= 1 for samples in decode([OPUS_SILENCE] * 5))


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_recordings_of_every_rate_are_read_at_their_length(tmp_path: Path, rate: int) -> None:
    path = write_wav(tmp_path / "voice.wav", tone((1.0, True), rate=rate), rate)
    assert len(read_samples(path)) == pytest.approx(RATE, abs=100)


def test_silence_alone_is_refused(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "silent.wav", np.zeros(RATE, np.int16))
    with pytest.raises(ScriptError, match=r"silent\.wav: nothing can be heard"):
        from_recording(path, "nothing")


def test_what_is_no_audio_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.wav"
    path.write_text("not a recording")
    with pytest.raises(ScriptError, match=r"notes\.wav: is no audio"):
        from_recording(path, "nothing")


def test_participants_without_a_voice_have_different_ones() -> None:
    voices = {voice_of(Participant(name="x"), position) for position in range(4)}
    assert len(voices) == 4
    own = EspeakVoice(name="de")
    assert voice_of(Participant(name="x", voice=own), 2) == own


@pytest.mark.e2e
async def test_text_is_spoken() -> None:
    spoken = await utterance(Say(at=0, who="x", text="Good morning"), EspeakVoice())
    assert 0.4 < spoken.duration < 3
    assert " ".join(sound.text for sound in spoken.sounds) == "Good morning"


@pytest.mark.e2e
async def test_a_voice_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ScriptError, match="as zz: "):
        await utterance(Say(at=0, who="x", text="hello"), EspeakVoice(name="zz"))
