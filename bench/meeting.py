"""The meetings that are measured: people who take turns, 1280x720 at 25 frames a second."""

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


PEOPLE = (("ann", "Ann Archer"), ("ben", "Ben Baker"), ("cem", "Cem Cole"))


def script(
    seconds: float, *, people: int = 2, presenting: bool = False, **changes: object
) -> Script:
    """Participants who speak in turns until the host ends the meeting at ``seconds``.

    ``presenting``: the first of them shares a screen in the middle third.
    """
    there = PEOPLE[:people]
    timeline: list[dict[str, object]] = []
    at = 1.0
    for (who, _), text in zip(cycle(there), cycle(SENTENCES), strict=False):
        if at > seconds - 8:
            break
        timeline.append({"do": "say", "at": at, "who": who, "text": text})
        at += 7.0
    if presenting:
        who = there[0][0]
        timeline.append({"do": "present", "at": seconds / 3, "who": who})
        timeline.append({"do": "stop_presenting", "at": seconds * 2 / 3, "who": who})
    return Script.model_validate(
        {
            "participants": [{"id": who, "name": name} for who, name in there],
            "timeline": [*timeline, {"do": "end", "at": seconds}],
            **changes,
        }
    )
