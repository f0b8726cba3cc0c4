"""The Protocol between the worker and the processes of its bots. For runner and bots."""

from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Protocol

from sitin.contract.events import BotEvent
from sitin.contract.spec import BotSpec


class RunningBot(Protocol):
    """One bot on this host that this worker, and no other, supervises."""

    @property
    def spec(self) -> BotSpec:
        """The order it works on."""
        ...

    @property
    def directory(self) -> Path:
        """Its recording directory."""
        ...

    def events(self, *, after: int) -> AsyncIterator[BotEvent]:
        """Every event numbered above ``after``, then the new ones as they come, up to ``Ended``.

        ``Ended`` always comes: when the process dies, what it left on the disk is put together and
        ``Ended`` is appended to its spool with the code of the crash.
        """
        ...

    async def leave(self) -> None:
        """Ask it to leave the meeting; asking twice, or too late, is no error."""
        ...

    async def tell_other_bots(self, participant_ids: Collection[str]) -> bool:
        """Tell it under which ids other bots of this install are, or were, in its meeting.

        Returns whether it was told; one that cannot be reached has left or is being recovered.
        """
        ...

    async def discard(self) -> None:
        """Delete the recording directory, once everything in it is stored elsewhere."""
        ...

    async def release(self) -> None:
        """Stop supervising; the bot goes on and may be adopted by another worker."""
        ...


class BotLauncher(Protocol):
    """Starts and adopts bots on this host."""

    async def launch(self, spec: BotSpec) -> RunningBot:
        """Start a bot's process and supervise it.

        Asked twice for the same bot and fencing token, the second call finds the first one's
        process. Raises ``RetriableError`` when this host cannot take it now and ``PermanentError``
        when it never will.
        """
        ...

    async def adopt(self) -> Sequence[RunningBot]:
        """Take over every bot of this host that no living worker supervises.

        These are running ones and ones that have ended but whose directory is still there.
        """
        ...
