"""The script's clock of one meeting. For everything that has to happen or be sent at a moment."""

import asyncio


class ScriptClock:
    """Seconds since the script began, on the event loop's own clock.

    It stands until ``start``; then it runs evenly whatever becomes of the machine's wall clock.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._zero: float | None = None
        self._started = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether the script has begun."""
        return self._zero is not None

    def start(self, at: float | None = None) -> None:
        """Begin now, or at this time of the event loop; a clock that runs goes on as it is."""
        if self._zero is None:
            self._zero = self._loop.time() if at is None else at
            self._started.set()

    async def started(self) -> None:
        """Wait until the script has begun."""
        await self._started.wait()

    def now(self) -> float:
        """Seconds since the script began; 0 before that."""
        return 0.0 if self._zero is None else self._loop.time() - self._zero

    async def wait_until(self, seconds: float) -> None:
        """Wait for a moment of the script; one that is past is there at once."""
        await self._started.wait()
        assert self._zero is not None
        delay = self._zero + seconds - self._loop.time()
        if delay > 0:
            await asyncio.sleep(delay)
