"""Names under which other products' note takers join meetings. For attendance and settings."""

from collections.abc import Collection
from fnmatch import fnmatchcase

NOTE_TAKERS = (
    "*Notetaker*",
    "*Otter.ai*",
    "*OtterPilot*",
    "*Fireflies.ai*",
    "*Read.ai*",
    "*tl;dv*",
    "*MeetGeek*",
    "*Avoma*",
    "*Sembly*",
    "*Supernormal*",
    "*Circleback*",
    "*Spinach AI*",
    "*Spinach.ai*",
    "*Notta Bot*",
    "*Chorus.ai*",
    "*Gong.io*",
    "*Recall.ai*",
)
"""The default. Most products name theirs "Fireflies.ai Notetaker" or "Ada's Notetaker"; the others
are named as their makers' help pages show them (2026)."""

_WILDCARDS = "*? "
_MIN_LETTERS = 3


def check_pattern(pattern: str) -> str:
    """Returns a pattern of names; ``*`` stands for anything and ``?`` for one character.

    Upper and lower case are alike.

    Raises ``ValueError`` for one that would match nearly everybody.
    """
    if sum(one not in _WILDCARDS for one in pattern) < _MIN_LETTERS:
        raise ValueError(
            f"{pattern!r} would match too many names; a pattern needs {_MIN_LETTERS} characters "
            "besides wildcards"
        )
    return pattern


def is_note_taker(name: str, patterns: Collection[str]) -> bool:
    """Returns whether a name as a whole matches one of the patterns."""
    folded = name.casefold()
    # A bracket is an ordinary character here.
    globs = (pattern.casefold().replace("[", "[[]") for pattern in patterns)
    return any(fnmatchcase(folded, one) for one in globs)
