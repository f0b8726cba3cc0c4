"""One range of bytes out of a request's headers (RFC 9110, section 14). For routes.py."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``start`` to ``end`` (exclusive) of ``size``."""

    start: int
    end: int
    size: int

    @property
    def content_range(self) -> str:
        """The header's value."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


class UnsatisfiableRangeError(Exception):
    """The range begins behind the end."""


def requested_range(header: str | None, size: int) -> ByteRange | None:
    """The range a header asks for; ``None`` for the whole.

    What is no range, and several at once, mean the whole: the standard lets a server ignore them.
    Raises ``UnsatisfiableRangeError``.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None:
        return None
    first, last = match.groups()
    if first:
        start = int(first)
        if last and int(last) < start:
            return None
        end = min(int(last) + 1, size) if last else size
    elif last:
        start, end = max(size - int(last), 0), size
    else:
        return None
    if start >= end:
        raise UnsatisfiableRangeError
    return ByteRange(start, end, size)
