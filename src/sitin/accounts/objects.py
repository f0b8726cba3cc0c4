"""The objects that a request is about, by the names of ids in path, body and response."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sitin.accounts.audit import FAILED, PARTIAL, SUCCEEDED

NAMES = ("bot_id", "calendar_id", "event_id", "series_id")

_NIL = UUID(int=0)


def ids_in(values: Mapping[str, Any], names: Iterable[str] = NAMES) -> list[UUID]:
    """Returns the ids under these names; other values are skipped."""
    found = [_id(values[name]) for name in names if name in values]
    return [one for one in found if one is not None and one != _NIL]


def ids_in_response(body: Mapping[str, Any]) -> list[UUID]:
    """Returns the ids in the ``data`` of a successful response: an object or a list of them."""
    data = body.get("data")
    items = data if isinstance(data, list) else [data]
    return [one for item in items if isinstance(item, dict) for one in ids_in(item)]


def outcome_of(body: Mapping[str, Any]) -> str:
    """Returns the outcome of an operation that succeeded, maybe not for every item."""
    if not body.get("errors"):
        return SUCCEEDED
    return PARTIAL if body.get("data") else FAILED


def _id(value: Any) -> UUID | None:
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        return None
