"""Packets to sound on one timeline."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitin.runner.capture.frames import EncodedAudio
from sitin.runner.capture.sound import RATE, Chunk, Lane, Mixer, OpusStream, Samples
from tests.runner.capture.media import ORIGIN, PACKET, audio_packets, encode_opus, loudness, tone

pytestmark = pytest.mark.unit

OPUS_DELAY = 312
"""Samples by which libopus delays what it encodes (its lookahead at 48 kHz)."""

TWO_SECONDS = encode_opus(tone(2.0))


def stream() -> OpusStream:
    return OpusStream(ORIGIN, lambda packet: str(packet.track))


def in_batches(decoder: OpusStream, packets: list[EncodedAudio]) -> list[Chunk]:
    """Decode half a second at a time, as it comes."""
    return [
        chunk
        for at in range(0, len(packets), 25)
        for chunk in decoder.decode(packets[at : at + 25], redundant=False)
    ]


def laid_out(chunks: list[Chunk], seconds: float) -> Samples:
    """The chunks on a silent timeline."""
    timeline = np.zeros(round(seconds * RATE) + RATE, np.int32)
    for chunk in chunks:
        timeline[chunk.start : chunk.start + chunk.samples.size] += chunk.samples
    return np.clip(timeline, -32768, 32767).astype(np.int16)


def alike(first: Samples, second: Samples) -> float:
    """Correlation, from -1 to 1."""
    return float(np.corrcoef(first.astype(float), second.astype(float))[0, 1])


class TestOpusStream:
    def test_what_was_said_stands_where_it_was_said(self) -> None:
        said = tone(2.0)
        chunks = in_batches(stream(), audio_packets(encode_opus(said), at=1.5))
        heard = laid_out(chunks, 4.0)
        start = round(1.5 * RATE) + OPUS_DELAY
        assert loudness(heard[: start - PACKET]) < 5
        # Opus shifts phases a little: 0.95 is reached within five samples (0.1 ms) of the place.
        assert alike(heard[start + RATE : start + 2 * RATE - PACKET], said[RATE:-PACKET]) > 0.95

    @given(st.lists(st.floats(0, 0.18), min_size=100, max_size=100))
    @settings(max_examples=20)
    def test_jitter_is_not_heard(self, delays: list[float]) -> None:
        """However late packets come, the voice is one run without a seam."""
        packets = [
            EncodedAudio(p.track, p.rtp, p.sequence, p.received + delay, p.sources, p.data)
            for p, delay in zip(audio_packets(TWO_SECONDS), delays, strict=True)
        ]
        chunks = in_batches(stream(), packets)
        assert sum(chunk.samples.size for chunk in chunks) >= 2 * RATE
        seams = [
            later.start - (earlier.start + earlier.samples.size)
            for earlier, later in itertools.pairwise(chunks)
        ]
        # Only while the least delay is not known yet may a run be put right.
        assert all(abs(seam) <= 0.18 * RATE for seam in seams)
        assert sum(seam != 0 for seam in seams) <= 5

    @pytest.mark.parametrize("lost", [1, 2, 3])
    def test_a_short_loss_is_bridged(self, lost: int) -> None:
        packets = audio_packets(encode_opus(tone(1.0)))
        del packets[20 : 20 + lost]
        heard = laid_out(in_batches(stream(), packets), 1.0)
        gap = heard[20 * PACKET + OPUS_DELAY : (20 + lost) * PACKET]
        assert loudness(gap) > 500, "no hole"
        after = heard[(21 + lost) * PACKET : 45 * PACKET]
        assert alike(after, _shifted(tone(1.0), (21 + lost) * PACKET, 45 * PACKET)) > 0.95

    def test_a_pause_is_silence_and_the_voice_comes_back_in_its_place(self) -> None:
        payloads = encode_opus(tone(2.0))
        packets = audio_packets(payloads)
        heard = laid_out(in_batches(stream(), packets[:25] + packets[75:]), 2.0)
        assert loudness(heard[26 * PACKET : 75 * PACKET]) < 5
        assert loudness(heard[76 * PACKET : 99 * PACKET]) > 3000

    def test_packets_out_of_order_and_doubled_change_nothing(self) -> None:
        packets = audio_packets(encode_opus(tone(1.0)))
        mixed = list(packets)
        for n in range(0, 48, 3):
            mixed[n], mixed[n + 1] = mixed[n + 1], mixed[n]
        mixed += packets[5:10]
        even = laid_out(stream().decode(packets, redundant=False), 1.0)
        assert np.array_equal(laid_out(stream().decode(mixed, redundant=False), 1.0), even)

    def test_redundant_packets_make_up_for_the_lost_ones(self) -> None:
        plain = audio_packets(encode_opus(tone(1.0)))
        sent = [
            EncodedAudio(p.track, p.rtp, p.sequence, p.received, (), _red(before, p.data))
            for before, p in zip([b"", *(one.data for one in plain)], plain, strict=False)
        ]
        received = [p for n, p in enumerate(sent) if n % 5 != 3]
        heard = laid_out(stream().decode(received, redundant=True), 1.0)
        whole = laid_out(stream().decode(plain, redundant=False), 1.0)
        assert alike(heard[PACKET : 45 * PACKET], whole[PACKET : 45 * PACKET]) > 0.99

    def test_a_first_word_that_comes_late_stands_where_it_was_said(self) -> None:
        """The silence before it tells how late."""
        first, *rest = audio_packets(TWO_SECONDS[:25], late=0.15)
        silence = [
            replace(
                first,
                rtp=first.rtp - n * PACKET,
                sequence=first.sequence - n,
                received=first.received - 0.15 - n * PACKET / RATE,
                data=b"",
            )
            for n in range(100, 0, -10)
        ]
        decoder = stream()
        (chunk, *_) = decoder.decode([*silence, first, *rest], redundant=False)
        assert chunk.start == pytest.approx(0, abs=RATE / 1000)
        assert decoder.undecodable == 0

    @pytest.mark.parametrize("payload", [b"\xff\xff\xff\xff\x00", b"\x03"])
    def test_what_is_no_opus_is_counted_and_the_rest_is_heard(self, payload: bytes) -> None:
        packets = audio_packets(encode_opus(tone(1.0)))
        bad = [
            EncodedAudio(p.track, p.rtp, p.sequence, p.received, (), payload) if n % 10 == 5 else p
            for n, p in enumerate(packets)
        ]
        decoder = stream()
        heard = laid_out(decoder.decode(bad, redundant=False), 1.0)
        assert decoder.undecodable == 5
        assert loudness(heard) > 1000
        assert decoder.decode([packets[0]], redundant=True) == []
        assert decoder.undecodable == 6, "a payload that is no RFC 2198"

    def test_a_stream_that_starts_over_is_heard(self) -> None:
        """A sender that comes back counts from anew."""
        payloads = encode_opus(tone(1.0))
        first = audio_packets(payloads, rtp=4_000_000_000, sequence=60_000)
        second = audio_packets(payloads, at=3.0, rtp=17, sequence=3)
        heard = laid_out(in_batches(stream(), first + second), 4.0)
        assert loudness(heard[round(3.1 * RATE) : round(3.9 * RATE)]) > 3000


def _shifted(samples: Samples, start: int, end: int) -> Samples:
    return samples[start - OPUS_DELAY : end - OPUS_DELAY]


def _red(before: bytes, primary: bytes) -> bytes:
    if not before:
        return b"\x6f" + primary
    header = (1 << 31) | (111 << 24) | (PACKET << 10) | len(before)
    return header.to_bytes(4, "big") + b"\x6f" + before + primary


pieces = st.lists(
    st.tuples(st.integers(-2000, 6000), st.integers(0, 900), st.integers(-32768, 32767)),
    max_size=12,
)
cuts = st.lists(st.integers(0, 7000), min_size=1, max_size=8).map(sorted)


class TestLane:
    @given(pieces, cuts)
    def test_the_sum_comes_out_once_whatever_the_steps(
        self, added: list[tuple[int, int, int]], steps: list[int]
    ) -> None:
        lane, expected = Lane(), np.zeros(8000, np.int32)
        for start, size, value in added:
            lane.add(start, np.full(size, value, np.int16))
            end = max(0, start + size)
            expected[max(0, start) : end] += value
        taken, at = np.zeros(0, np.int16), 0
        for until in steps:
            part = lane.take(until)
            part = np.zeros(until - at, np.int16) if part is None else part
            assert part.size == until - at
            taken, at = np.concatenate([taken, part]), until
        assert np.array_equal(taken, np.clip(expected[:at], -32768, 32767).astype(np.int16))

    def test_what_comes_after_its_time_is_lost_and_shifts_nothing(self) -> None:
        lane = Lane()
        lane.take(100)
        lane.add(50, np.full(100, 7, np.int16))
        part = lane.take(200)
        assert part is not None
        assert part.tolist() == [7] * 50 + [0] * 50


class TestMixer:
    @given(
        st.lists(
            st.tuples(st.integers(0, 5000), st.integers(1, 900), st.sampled_from("ab")), max_size=12
        ),
        cuts,
    )
    def test_the_mix_is_the_sum_of_the_voices(
        self, said: list[tuple[int, int, str]], steps: list[int]
    ) -> None:
        mixer = Mixer(lambda key, _: key)
        mixer.add(Chunk(start, np.full(size, 100, np.int16), key) for start, size, key in said)
        for until in steps:
            taken = mixer.take(until)
            total = sum(
                (voice.astype(np.int32) for voice in taken.voices.values()),
                start=np.zeros(taken.count, np.int32),
            )
            mix = np.zeros(taken.count, np.int16) if taken.mix is None else taken.mix
            assert np.array_equal(total, mix.astype(np.int32))

    def test_whose_voice_it_is_is_asked_when_it_is_written(self) -> None:
        names: dict[str, str] = {}
        mixer = Mixer(lambda key, _: names.get(key))
        mixer.add([Chunk(0, np.full(100, 5, np.int16), "7")])
        names["7"] = "ada"
        taken = mixer.take(100)
        assert list(taken.voices) == ["ada"]

    def test_a_voice_of_nobody_is_in_the_mix_alone(self) -> None:
        mixer = Mixer(lambda *_: None)
        mixer.add([Chunk(0, np.full(100, 5, np.int16), "7")])
        taken = mixer.take(100)
        assert taken.voices == {}
        assert taken.mix is not None
        assert taken.mix.tolist() == [5] * 100

    def test_time_does_not_run_backwards(self) -> None:
        mixer = Mixer(lambda key, _: key)
        mixer.take(500)
        taken = mixer.take(300)
        assert (taken.start, taken.count) == (500, 0)
