"""Where the reference material of the public API is, when it is there at all.

The tests pass without it; with it, they compare with it as well.
"""

import os
from pathlib import Path

import pytest

_CANDIDATES = (
    os.environ.get("SITIN_SHARED"),
    Path(__file__).parents[2] / "shared",
    Path(__file__).parents[3] / "shared",
)


def shared(*parts: str) -> Path | None:
    """A file of the reference material, or ``None``."""
    for candidate in _CANDIDATES:
        if candidate and (path := Path(candidate).joinpath(*parts)).exists():
            return path
    return None


def needs_shared(*parts: str) -> pytest.MarkDecorator:
    """Skips a comparison with material that is not here."""
    return pytest.mark.skipif(
        shared(*parts) is None, reason=f"{'/'.join(parts)} of the reference material is not here"
    )
