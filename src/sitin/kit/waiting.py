"""Waiting for an event for a limited time.

``asyncio.wait_for`` is not used anywhere (ruff bans it): on Python 3.11 it swallows a cancellation
that arrives together with the result, so a task that is cancelled in a loop of short waits may go
on running. ``asyncio.timeout`` does not.
"""

import asyncio


async def wait_for_event(event: asyncio.Event, timeout: float) -> bool:  # noqa: ASYNC109 (returns, does not raise)
    """Return whether the event was set within ``timeout`` seconds."""
    try:
        async with asyncio.timeout(timeout):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
