"""Whether a text says anything. For everything that takes names and messages from people."""

import unicodedata

_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Me"})
"""Control and format characters, surrogates, spaces, and marks that need a letter before them."""
_INVISIBLE_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Fillers of Hangul and the empty Braille pattern: letters and symbols by category, yet blank."""


def is_blank(text: str) -> bool:
    """Returns whether nothing of the text can be seen, zero-width characters included."""
    return all(
        character in _INVISIBLE_LETTERS or unicodedata.category(character) in _INVISIBLE_CATEGORIES
        for character in text
    )
