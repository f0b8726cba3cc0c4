"""The meetings that are measured: two people who take turns, 1280x720 at 25 frames a second."""

import os
from itertools import cycle
from pathlib import Path

from sitin.rehearsal import Script, conversation, speech_from

SENTENCES = (
    "We are going to look at the numbers of this quarter, and then at what comes next.",
    "There is a lot to do, and I would like to begin with what went well.",
    "The new office opens in the spring, which is later than we had hoped.",
    "Let me share what our customers told us about the first release.",
)


def shared() -> Path | None:
    """The folder of human speech, where it is there."""
    named = os.environ.get("SITIN_SHARED")
    beside = Path(__file__).parents[2] / "shared"
    folder = (Path(named) if named else beside) / "data" / "speech"
    return folder if folder.exists() else None


async def spoken() -> tuple[Script, str]:
    """A conversation of human speech where it is there, synthetic elsewhere; and which it is."""
    folder = shared()
    if folder is None:
        return await conversation(), "synthetic voices"
    return await speech_from(folder), "human voices"


def script(seconds: float, **changes: object) -> Script:
    """Two participants who speak in turns until the host ends the meeting at ``seconds``."""
    turns = []
    at = 1.0
    for who, text in zip(cycle(["ann", "ben"]), cycle(SENTENCES), strict=False):
        if at > seconds - 8:
            break
        turns.append({"do": "say", "at": at, "who": who, "text": text})
        at += 7.0
    return Script.model_validate(
        {
            "participants": [
                {"id": "ann", "name": "Ann Archer"},
                {"id": "ben", "name": "Ben Baker"},
            ],
            "timeline": [*turns, {"do": "end", "at": seconds}],
            **changes,
        }
    )
