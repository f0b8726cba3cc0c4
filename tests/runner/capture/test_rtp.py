"""RTP: time, order, doubles, redundancy."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.runner.capture.frames import EncodedAudio
from sitin.runner.capture.rtp import (
    Block,
    MalformedRedundancyError,
    RtpClock,
    Sequence,
    red_blocks,
    unpack_red,
)

pytestmark = pytest.mark.unit

RATE = 48_000


def packet(sequence: int, rtp: int = 0, data: bytes = b"") -> EncodedAudio:
    return EncodedAudio(1, rtp, sequence & 0xFFFF, 0.0, (), data)


class TestClock:
    @given(first=st.integers(0, 2**32 - 1), delays=st.lists(st.floats(0, 0.3), min_size=60))
    def test_a_stream_is_as_even_as_it_was_sent(self, first: int, delays: list[float]) -> None:
        """Whatever the network does to the packets, their times keep the distances of sending."""
        clock = RtpClock(RATE)
        times = [
            clock.time((first + n * 960) & 0xFFFFFFFF, 1000 + n * 0.02 + delay)
            for n, delay in enumerate(delays)
        ]
        settled = min(range(len(delays)), key=delays.__getitem__)
        for n in range(settled, len(delays) - 1):
            assert times[n + 1] - times[n] == pytest.approx(0.02, abs=0.001)
        # Late by the least delay of all, never early, and at most as late as it came.
        assert times[-1] == pytest.approx(1000 + (len(delays) - 1) * 0.02 + min(delays), abs=0.01)

    def test_a_timestamp_that_wraps_goes_on(self) -> None:
        clock = RtpClock(RATE)
        before = clock.time(2**32 - 960, 10.0)
        assert clock.time(0, 10.02) - before == pytest.approx(0.02)

    def test_a_packet_out_of_order_is_put_where_it_was_sent(self) -> None:
        clock = RtpClock(RATE)
        clock.time(960 * 10, 10.2)
        assert clock.time(960 * 9, 10.21) == pytest.approx(10.18, abs=1e-3)

    @pytest.mark.parametrize("ppm", [-300, 300])
    def test_a_sender_whose_clock_is_off_is_followed(self, ppm: int) -> None:
        """An hour at 300 ppm would be a second; the drift stays below what anybody hears."""
        clock, chance = RtpClock(RATE), random.Random(1)
        last = 0.0
        for n in range(0, 180_000, 10):
            sent = n * 0.02
            received = sent * (1 + ppm / 1e6) + chance.random() * 0.02
            last = clock.time(n * 960 & 0xFFFFFFFF, received) - received
        assert abs(last) < 0.06

    def test_a_stream_that_begins_anew_is_a_new_one(self) -> None:
        clock = RtpClock(RATE)
        clock.time(1_000_000, 10.0)
        assert clock.time(5, 12.0) == pytest.approx(12.0)


class TestSequence:
    @given(start=st.integers(0, 0xFFFF), seed=st.integers(), count=st.integers(1, 200))
    def test_any_order_within_a_batch_is_put_right_and_doubles_go(
        self, start: int, seed: int, count: int
    ) -> None:
        sent = [packet(start + n, rtp=n) for n in range(count)]
        chance = random.Random(seed)
        order, given = Sequence(), []
        for at in range(0, count, 25):
            batch = sent[at : at + 25] * 2
            chance.shuffle(batch)
            given += order.sort(batch)
        # The first packet seen may not be the first sent: what is before it still sorts before.
        assert [one.rtp for one in given] == list(range(count))

    def test_a_packet_of_the_batch_before_is_given_when_it_comes(self) -> None:
        order = Sequence()
        assert [p.sequence for p in order.sort([packet(1), packet(3)])] == [1, 3]
        assert [p.sequence for p in order.sort([packet(2), packet(4)])] == [2, 4]
        assert order.sort([packet(3), packet(2)]) == []

    def test_silence_leaves_gaps_that_nobody_waits_for(self) -> None:
        order = Sequence()
        assert len(order.sort([packet(1), packet(400)])) == 2

    def test_what_is_remembered_does_not_grow(self) -> None:
        order = Sequence()
        for n in range(100_000):
            order.sort([packet(n)])
        assert len(order._seen) <= 500


def red(*blocks: tuple[int, int, bytes], primary: bytes) -> bytes:
    """An RFC 2198 payload: blocks of payload type, offset, data; then the primary."""
    headers = b"".join(
        ((1 << 31) | (kind << 24) | (behind << 10) | len(data)).to_bytes(4, "big")
        for kind, behind, data in blocks
    )
    return headers + b"\x6f" + b"".join(data for _, _, data in blocks) + primary


class TestRedundancy:
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 127), st.integers(0, 0x3FFF), st.binary(min_size=1, max_size=100)
            ),
            max_size=4,
        ),
        st.binary(max_size=100),
    )
    def test_blocks_come_back(self, blocks: list[tuple[int, int, bytes]], primary: bytes) -> None:
        assert red_blocks(red(*blocks, primary=primary)) == [
            *(Block(*block) for block in blocks),
            Block(0x6F, 0, primary),
        ]

    @given(st.binary(max_size=60))
    def test_any_bytes_are_redundancy_or_refused(self, payload: bytes) -> None:
        try:
            blocks = red_blocks(payload)
        except MalformedRedundancyError:
            return
        assert sum(len(block.data) for block in blocks) <= len(payload)

    def test_an_earlier_packet_is_given_its_own_time_and_number(self) -> None:
        payload = red((111, 1920, b"a"), (111, 960, b"b"), primary=b"c")
        unpacked = unpack_red(packet(10, rtp=5000, data=payload))
        assert [(one.sequence, one.rtp, one.data) for one in unpacked] == [
            (8, 3080, b"a"),
            (9, 4040, b"b"),
            (10, 5000, b"c"),
        ]

    def test_a_lost_packet_is_taken_from_the_one_after_it(self) -> None:
        order = Sequence()
        sent = [
            packet(n, rtp=n * 960, data=red((111, 960, b"%d" % (n - 1)), primary=b"%d" % n))
            for n in range(1, 6)
        ]
        received = [one for p in sent if p.sequence != 3 for one in unpack_red(p)]
        assert [one.data for one in order.sort(received)] == [b"0", b"1", b"2", b"3", b"4", b"5"]

    def test_an_empty_block_stands_for_nothing(self) -> None:
        (only,) = unpack_red(packet(10, rtp=960, data=red((111, 960, b""), primary=b"x")))
        assert only == replace(packet(10, rtp=960), data=b"x")
