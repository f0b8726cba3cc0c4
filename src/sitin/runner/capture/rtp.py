"""RTP as far as a recording needs it: order, time, redundancy. Used by the capture alone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sitin.runner.capture.frames import EncodedAudio

_REMEMBERED = 100
"""Packets whose doubles are known: two seconds at 20 ms a packet."""

_JUMP = 0.5
"""Seconds by which a stream's time may step before it counts as a new stream."""
_SLEW = 0.001
"""Seconds by which the estimate may rise per second: follows a clock that is 1000 ppm off."""


class RtpClock:
    """Turns RTP timestamps of one stream into seconds since 1970.

    Packets come late by a varying time and never early, so the stream's origin is the least
    difference between arrival and timestamp seen so far; it rises slowly, so that a sender whose
    clock runs slow is followed. The same rule for sound and picture keeps both together.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._last: int | None = None
        self._unwrapped = 0
        self._origin = 0.0
        self._at = 0.0

    def time(self, rtp: int, received: float) -> float:
        """When the packet was sent, in seconds since 1970 on this machine's clock."""
        if self._last is None:
            self._unwrapped = rtp
        else:
            step = (rtp - self._last) & 0xFFFFFFFF
            self._unwrapped += step - 0x100000000 if step & 0x80000000 else step
        seconds = self._unwrapped / self._rate
        difference = received - seconds
        if self._last is None or abs(difference - self._origin) > _JUMP:
            self._origin = difference
        else:
            risen = self._origin + _SLEW * max(0.0, received - self._at)
            self._origin = min(difference, risen)
        self._last = rtp
        # A packet may be handed over after one that came later than it.
        self._at = max(self._at, received)
        return seconds + self._origin


class Sequence:
    """Puts the packets of one stream's batch in the order they were sent and drops doubles.

    Packets that the page passes over because they are silent leave gaps, so a gap is nothing to
    wait for. A packet that comes a whole batch late is given when it comes.
    """

    def __init__(self) -> None:
        self._highest: int | None = None
        self._seen: set[int] = set()

    def sort(self, packets: Iterable[EncodedAudio]) -> list[EncodedAudio]:
        """The batch's packets in order, without those that were there before."""
        fresh: dict[int, EncodedAudio] = {}
        for packet in packets:
            number = self._unwrap(packet.sequence)
            if number not in self._seen:
                fresh.setdefault(number, packet)
        self._seen |= fresh.keys()
        if self._highest is not None and len(self._seen) > 4 * _REMEMBERED:
            self._seen = {n for n in self._seen if n > self._highest - _REMEMBERED}
        return [fresh[number] for number in sorted(fresh)]

    def _unwrap(self, sequence: int) -> int:
        if self._highest is None:
            self._highest = sequence
            return sequence
        step = (sequence - self._highest) & 0xFFFF
        number = self._highest + (step - 0x10000 if step & 0x8000 else step)
        self._highest = max(self._highest, number)
        return number


@dataclass(frozen=True, slots=True)
class Block:
    """One part of a redundant payload; ``behind`` in timestamp units."""

    payload_type: int
    behind: int
    data: bytes


class MalformedRedundancyError(Exception):
    """A payload that does not follow RFC 2198."""


def red_blocks(payload: bytes) -> list[Block]:
    """The blocks of an ``audio/red`` payload (RFC 2198), oldest first, the primary one last."""
    headers: list[tuple[int, int, int | None]] = []
    at = 0
    try:
        while payload[at] & 0x80:
            word = int.from_bytes(payload[at : at + 4], "big")
            headers.append(((word >> 24) & 0x7F, (word >> 10) & 0x3FFF, word & 0x3FF))
            at += 4
        headers.append((payload[at] & 0x7F, 0, None))
    except IndexError as error:
        raise MalformedRedundancyError("headers are cut off") from error
    at += 1
    blocks = []
    for payload_type, behind, length in headers:
        end = len(payload) if length is None else at + length
        if end > len(payload):
            raise MalformedRedundancyError("a block is longer than its payload")
        blocks.append(Block(payload_type, behind, payload[at:end]))
        at = end
    return blocks


def unpack_red(packet: EncodedAudio) -> list[EncodedAudio]:
    """The packets that a redundant one carries, oldest first."""
    blocks = red_blocks(packet.data)
    last = len(blocks) - 1
    return [
        replace(
            packet,
            rtp=(packet.rtp - block.behind) & 0xFFFFFFFF,
            sequence=(packet.sequence - (last - number)) & 0xFFFF,
            data=block.data,
        )
        for number, block in enumerate(blocks)
        if block.data
    ]
