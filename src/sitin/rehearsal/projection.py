"""Makes pictures ahead of the time they are due. For the meeting."""

import asyncio
from itertools import count

from sitin.rehearsal.cast import Cast
from sitin.rehearsal.clock import ScriptClock
from sitin.rehearsal.film import FilmStore, second_of
from sitin.rehearsal.pictures import Card
from sitin.rehearsal.script import CameraOn, Present, Script

_AHEAD = 60
"""Seconds ahead of the clock to which the script is followed."""
_AHEAD_OF_LIVE = 5
"""Seconds ahead of the clock once the script is over and only controls go on."""


async def prepare_pictures(
    script: Script, cast: Cast, clock: ScriptClock, film: FilmStore, *, ready: asyncio.Event
) -> None:
    """Encode second after second of all that will be seen, until cancelled.

    Sets ``ready`` when the first minute, or all of a shorter script, is made.
    """
    length = int(max((event.at for event in script.timeline), default=0.0)) + 15
    for index in count():
        if index >= min(_AHEAD, length):
            ready.set()
        await _wait_for_turn(index, length, clock)
        for card in _seen(script, cast, index):
            await film.prepare(second_of(card, script.video, index))


async def _wait_for_turn(index: int, length: int, clock: ScriptClock) -> None:
    ahead = _AHEAD if index < length else _AHEAD_OF_LIVE
    if index >= ahead:
        await clock.wait_until(index - ahead)


def _seen(script: Script, cast: Cast, index: int) -> list[Card]:
    """What is to be seen in a second as far as the script tells, and what is seen now."""
    cards: dict[Card, None] = {}
    switched_on = {event.who for event in script.timeline if isinstance(event, CameraOn)}
    shared = {
        event.who
        for event in script.timeline
        if isinstance(event, Present) and event.at < index + 1
    }
    for person in cast.people:
        if person.spec.video or person.spec.id in switched_on:
            cards[person.card("camera")] = None
        if person.spec.id in shared:
            cards[person.card("presentation")] = None
        cards.update(dict.fromkeys(feed.card for feed in person.feeds))
    return list(cards)
