"""Long answers in pages, and what can be odd about them. For both providers.

A listing is taken once and read page by page, so that what changes in between is neither told twice
nor left out: the next sync tells it.
"""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")

_MOST_LISTINGS = 512


@dataclass
class Paging:
    """How pages are cut.

    Attributes:
        sizes: Sizes of the first pages of every listing, where they are smaller than asked for; 0
            makes an empty page that is not the last.
        repeat: Whether each page begins with the last item of the page before.
    """

    sizes: Sequence[int] = ()
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some of a listing's items, and where it goes on; ``None`` for nowhere."""

    items: Sequence[Item]
    next_offset: int | None


def cut(items: Sequence[Item], *, offset: int, size: int, number: int, how: Paging) -> Page[Item]:
    """The page of this number, from 1 on."""
    planned = how.sizes[number - 1] if number <= len(how.sizes) else None
    if planned is not None:
        size = min(size, planned)
    end = offset + size
    first = offset - 1 if how.repeat and 0 < offset < len(items) and size else offset
    more = end < len(items) or planned == 0
    return Page(items[first:end], end if more else None)


class Listings(Generic[T]):
    """Listings that are being read; the oldest are forgotten when there are many."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, T] = OrderedDict()

    def keep(self, listing: T) -> str:
        """Keep one, under a new name."""
        name = secrets.token_urlsafe(9)
        self._kept[name] = listing
        if len(self._kept) > _MOST_LISTINGS:
            self._kept.popitem(last=False)
        return name

    def get(self, name: str) -> T | None:
        """One that is kept."""
        return self._kept.get(name)


def write_token(values: dict[str, Any]) -> str:
    """An opaque token that carries these values."""
    return (
        urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")
    )


def read_token(token: str) -> dict[str, Any] | None:
    """What a token carries; ``None`` for one that was never written."""
    try:
        values = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
