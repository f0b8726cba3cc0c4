"""Whose voice it is, in the three ways in which platforms send voices; a FLAC file for each."""

from pathlib import Path

import pytest

from sitin.contract.meeting import AudioTopology, MediaSource
from sitin.runner.capture.activity import diarization, read_activity
from sitin.runner.capture.frames import EncodedAudio
from sitin.runner.capture.sound import RATE
from sitin.runner.capture.voices import UNKNOWN, SourceTable, Voices, read_index
from tests.runner.capture.media import (
    ORIGIN,
    audio_packets,
    encode_opus,
    loudness,
    read_sound,
    tone,
)

pytestmark = pytest.mark.unit

ADA, BEN = "spaces/1/devices/ada", "spaces/1/devices/ben"
LOW, HIGH = encode_opus(tone(1.0, hertz=300)), encode_opus(tone(1.0, hertz=900))


class Room:
    """Voices on a disk, fed second by second as the engine feeds them."""

    def __init__(self, directory: Path, topology: AudioTopology) -> None:
        self.directory = directory
        self.table = SourceTable(topology)
        self.heard: list[tuple[str, float]] = []
        self.voices = Voices(
            directory, ORIGIN, self.table, lambda who, _, at: self.heard.append((who, at - ORIGIN))
        )

    def hear(self, packets: list[EncodedAudio]) -> None:
        packets.sort(key=lambda packet: packet.received)
        for second in range(8):
            batch = [p for p in packets if second <= p.received - ORIGIN < second + 1]
            self.voices.packets(batch)
            self.voices.take(max(0, second - 1) * RATE)
        self.voices.take(8 * RATE)
        self.voices.close()

    def turns(self) -> list[tuple[str, float, float]]:
        """Who spoke when, to a tenth of a second."""
        index = read_index(self.directory)
        activity = read_activity(self.directory / "activity")
        segments = diarization({index[n]: levels for n, levels in activity.items()}, {})
        return [(s.speaker, round(s.start_time, 1), round(s.end_time, 1)) for s in segments]

    def own_seconds(self) -> dict[str, list[int]]:
        """The seconds in which each participant's own file sounds."""
        seconds = {}
        for number, who in read_index(self.directory).items():
            samples = read_sound(self.directory / "voices" / f"{number}.flac")
            assert samples.size == 8 * RATE, "every file is as long as the recording"
            seconds[who] = [
                n for n in range(8) if loudness(samples[n * RATE : (n + 1) * RATE]) > 2000
            ]
        return seconds


def test_pooled_tracks_are_told_apart_by_contributing_source(tmp_path: Path) -> None:
    """Meet: both speak on the same track, one after the other, and at once on two."""
    room = Room(tmp_path, AudioTopology.POOLED)
    room.table.audio = {
        "11": MediaSource(participant_id=ADA),
        "22": MediaSource(participant_id=BEN),
    }
    room.hear(
        [
            *audio_packets(LOW, at=1.0, sources=(11,)),
            *audio_packets(HIGH, at=3.0, sources=(22,), sequence=1100, rtp=90_000 + 2 * RATE),
            *audio_packets(LOW, at=5.0, sources=(11,), sequence=1200, rtp=90_000 + 4 * RATE),
            *audio_packets(HIGH, at=5.0, sources=(22,), track=2),
        ]
    )
    assert room.own_seconds() == {ADA: [1, 5], BEN: [3, 5]}
    assert room.turns() == [(ADA, 1.0, 2.0), (BEN, 3.0, 4.0), (ADA, 5.0, 6.0), (BEN, 5.0, 6.0)]
    assert {who for who, _ in room.heard} == {ADA, BEN}


def test_a_track_per_participant_is_its_participant(tmp_path: Path) -> None:
    """Zoom's SDK page: the track tells, whatever contributing sources stand in the packets."""
    room = Room(tmp_path, AudioTopology.PER_PARTICIPANT)
    room.voices.track(1, "stream-a")
    room.voices.track(2, "stream-b")
    room.table.audio = {
        "stream-a": MediaSource(participant_id=ADA),
        "stream-b": MediaSource(participant_id=BEN),
    }
    room.hear(
        [
            *audio_packets(LOW, at=1.0, track=1, sources=(99,)),
            *audio_packets(HIGH, at=1.0, track=2),
            *audio_packets(HIGH, at=4.0, track=2, sequence=1200, rtp=90_000 + 3 * RATE),
        ]
    )
    assert room.own_seconds() == {ADA: [1], BEN: [1, 4]}


def test_one_mix_is_cut_by_the_dominant_speaker(tmp_path: Path) -> None:
    """Teams: one track of everybody; the platform's own signal tells who speaks."""
    room = Room(tmp_path, AudioTopology.MIXED)
    for at, who in [(0.9, ADA), (2.5, BEN), (4.2, None), (5.9, ADA)]:
        room.table.dominant(who, ORIGIN + at)
    room.hear(
        [
            *audio_packets(LOW, at=1.0),
            *audio_packets(HIGH, at=3.0, sequence=1100, rtp=90_000 + 2 * RATE),
            *audio_packets(LOW, at=6.0, sequence=1300, rtp=90_000 + 5 * RATE),
        ]
    )
    assert room.own_seconds() == {ADA: [1, 6], BEN: [3]}
    assert room.turns() == [(ADA, 1.0, 2.0), (BEN, 3.0, 4.0), (ADA, 6.0, 7.0)]


def test_a_mix_in_which_nobody_is_dominant_is_nobodys(tmp_path: Path) -> None:
    room = Room(tmp_path, AudioTopology.MIXED)
    room.hear(audio_packets(LOW, at=1.0))
    assert room.own_seconds() == {}
    assert room.heard == []


def test_who_was_never_named_has_a_file_of_their_own(tmp_path: Path) -> None:
    room = Room(tmp_path, AudioTopology.POOLED)
    room.table.audio = {"11": MediaSource(participant_id=ADA)}
    room.hear(
        [
            *audio_packets(LOW, at=1.0, sources=(11,)),
            *audio_packets(HIGH, at=3.0, sources=(33,), track=2),
        ]
    )
    assert room.own_seconds() == {ADA: [1], f"{UNKNOWN}33": [3]}


def test_a_name_that_comes_within_two_seconds_counts_from_the_first_word(tmp_path: Path) -> None:
    room = Room(tmp_path, AudioTopology.POOLED)
    packets = audio_packets(LOW, at=1.0, sources=(11,))
    room.voices.packets(packets[:25])
    room.table.audio = {"11": MediaSource(participant_id=ADA)}
    room.voices.packets(packets[25:])
    room.voices.take(8 * RATE)
    room.voices.close()
    assert room.own_seconds() == {ADA: [1]}


def test_a_shared_screen_speaks_for_who_shares_it(tmp_path: Path) -> None:
    room = Room(tmp_path, AudioTopology.POOLED)
    room.table.audio = {
        "11": MediaSource(participant_id=ADA),
        "12": MediaSource(participant_id=ADA, presentation=True),
    }
    room.hear(
        [
            *audio_packets(LOW, at=1.0, sources=(11,)),
            *audio_packets(HIGH, at=3.0, sources=(12,), track=2),
        ]
    )
    assert room.own_seconds() == {ADA: [1, 3]}


def test_what_cannot_be_decoded_is_said_to_be(tmp_path: Path) -> None:
    voices = Room(tmp_path, AudioTopology.POOLED).voices
    assert voices.codec(1, "audio/opus")
    assert voices.codec(1, "audio/red")
    assert not voices.codec(1, "audio/PCMU")
    voices.close()


def test_an_index_that_a_crash_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "index.jsonl").write_text(f'[1, "{ADA}"]\n[2, "{BEN[:4]}')
    assert read_index(tmp_path) == {1: ADA}
    assert read_index(tmp_path / "nowhere") == {}
