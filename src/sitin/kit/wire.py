"""How values are written in JSON: times, ids, numbers, addresses, errors. For every schema.

The patterns are the ones that the public API's document states, so that clients generated from
either document accept the same values.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from sitin.kit.clock import iso
from sitin.kit.texts import is_blank

UUID_PATTERN = (
    r"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
    r"|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)$"
)
_LEAP_YEAR = r"\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00"
_DAY = (
    r"(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    r"|(?:02)-(?:0[1-9]|1\d|2[0-8])"
)
TIME_PATTERN = (
    rf"^(?:(?:{_LEAP_YEAR})-02-29|\d{{4}}-(?:{_DAY}))"
    r"T(?:(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z))$"
)
SAFE_INTEGER = 9_007_199_254_740_991
"""The largest integer a JavaScript client reads exactly."""


def _match(pattern: str, what: str) -> BeforeValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: object) -> object:
        if isinstance(value, str) and not compiled.fullmatch(value):
            raise ValueError(what)
        return value

    return BeforeValidator(check)


_A_TIME = "must be an ISO 8601 time in UTC, like 2026-01-15T10:30:00Z"


def _as_utc(value: object) -> object:
    # Minutes without seconds are allowed by the pattern and by no Python parser before 3.13.
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.removesuffix("Z")[:26]).replace(tzinfo=UTC)
        except ValueError:  # the year 0
            raise ValueError(_A_TIME) from None
    # A number would be read as seconds since 1970.
    if not isinstance(value, datetime):
        raise ValueError(_A_TIME)  # noqa: TRY004 - pydantic wants a ValueError
    return value


_UUID_SCHEMA = {"type": "string", "format": "uuid", "pattern": UUID_PATTERN}
_TIME_SCHEMA = {"type": "string", "format": "date-time", "pattern": TIME_PATTERN}

Id = Annotated[
    UUID, _match(UUID_PATTERN, "must be a UUID"), WithJsonSchema(_UUID_SCHEMA, mode="validation")
]
"""An id that a client gives."""

IdOut = Annotated[UUID, WithJsonSchema(_UUID_SCHEMA)]
"""An id in a response."""

Time = Annotated[
    datetime,
    BeforeValidator(_as_utc),
    _match(TIME_PATTERN, _A_TIME),
    WithJsonSchema(_TIME_SCHEMA),
]
"""A time that a client gives."""

TimeOut = Annotated[datetime, PlainSerializer(iso, return_type=str), WithJsonSchema(_TIME_SCHEMA)]
"""A time in a response: UTC, milliseconds, a ``Z``."""

UriOut = Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]
"""An address in a response."""

NumberOut = Annotated[
    float,
    PlainSerializer(lambda value: int(value) if value == int(value) else value),
    WithJsonSchema({"type": "number"}),
]
"""A number in a response; a whole one is written without a point."""


def _no_json_coercion(value: object) -> object:
    """JSON's own types only: no numbers in strings, no booleans as numbers."""
    if isinstance(value, bool | str):
        raise ValueError("must be an integer")  # noqa: TRY004 - pydantic wants a ValueError
    return value


JSON_INTEGER = BeforeValidator(_no_json_coercion)
Integer = Annotated[int, JSON_INTEGER]
"""An integer that a client gives in a body; ``600.0`` is one, ``"600"`` is none."""


StrictFlag = StrictBool
"""A boolean that a client gives in a body; ``"true"`` is none."""


_DEPTH = 64
"""Levels of nesting; PostgreSQL and every client's parser manage far more."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

_Way = tuple[str, ...]


def _unstorable(value: object, way: _Way = ()) -> Iterator[tuple[_Way, str]]:
    """What PostgreSQL cannot store of a JSON value: the way to it, and what is wrong with it."""
    match value:
        case str() if _UNSTORABLE.search(value):
            yield way, "text may hold neither a NUL character nor half of a surrogate pair"
        case float() if not math.isfinite(value):
            yield way, "the number is too large"
        case dict() | list() if len(way) == _DEPTH:
            yield (), f"nested too deeply; {_DEPTH} levels are allowed"
        case dict():
            for key, item in value.items():
                for _, what in _unstorable(key):
                    yield way, what
                yield from _unstorable(item, (*way, key))
        case list():
            for index, item in enumerate(value):
                yield from _unstorable(item, (*way, str(index)))
        case _:
            pass


def is_storable(value: object) -> bool:
    """Whether the database can store a JSON value, and a client be told it again."""
    return not any(_unstorable(value))


def _check_storable(value: object) -> object:
    if flaw := next(_unstorable(value), None):
        way, what = flaw
        raise PydanticCustomError("unstorable", "{what}", {"what": what, "way": way})
    return value


_STORABLE = BeforeValidator(_check_storable)

Text = Annotated[str, _STORABLE]
"""Text that a client gives and the database stores."""


def _check_not_blank(value: str) -> str:
    if is_blank(value):
        raise ValueError("must contain at least one visible character")
    return value


def _check_not_blank_unless_empty(value: str) -> str:
    return value and _check_not_blank(value)


NOT_BLANK = AfterValidator(_check_not_blank)
"""Refuses text of which nothing can be seen. Comes last, after the limits of length."""

NOT_BLANK_UNLESS_EMPTY = AfterValidator(_check_not_blank_unless_empty)
"""The same where the empty text stands for none, as some clients send it."""

Uri = Annotated[str, _STORABLE, WithJsonSchema({"type": "string", "format": "uri"})]
"""An address that a client gives; the room that uses it says which kinds it takes."""


def _nothing_as_none(value: object) -> object:
    # Clients that cannot leave a parameter out send it empty.
    return None if value == "" else value


OptionalQuery = Annotated[Text | None, BeforeValidator(_nothing_as_none)]
"""A query parameter that may be missing or empty."""

OptionalTime = Annotated[Time | None, BeforeValidator(_nothing_as_none)]
"""A time in a query that may be missing or empty."""

JsonObject = Annotated[
    dict[str, Any],
    _STORABLE,
    WithJsonSchema(
        {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {}}
    ),
]
"""Any JSON object that a client gives and the database stores."""


class Out(BaseModel):
    """Base of everything a response is made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class In(BaseModel):
    """Base of everything a request is made of; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    def over(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """What there is with what the client gave in its place; what it did not give stays.

        So within the objects that have fields of their own; a value that is free of form, such as
        ``extra``, is one value.
        """
        changed = dict(current)
        plain = self.model_dump(mode="json")
        for name in self.model_fields_set:
            value = getattr(self, name)
            changed[name] = (
                value.over(current.get(name) or {}) if isinstance(value, In) else plain[name]
            )
        return changed


class ValidationErrorResponse(Out):
    """The body of every 400."""

    success: Literal[False]
    error: str = Field(description="The error's name.")
    code: str = Field(description="The error's code, for programs.")
    statusCode: int = Field(  # noqa: N815 - the contract's name
        gt=0, le=SAFE_INTEGER, description="The HTTP status."
    )
    message: str | None = Field(None, description="Which field is wrong, and what would be right.")


class ErrorResponse(Out):
    """The body of every other error."""

    success: Literal[False]
    error: str = Field(description="The error's name.")
    code: str = Field(description="The error's code, for programs.")
    statusCode: int = Field(  # noqa: N815 - the contract's name
        gt=0, le=SAFE_INTEGER, description="The HTTP status."
    )
    message: str | None = Field(None, description="What is wrong and what would be right.")
    details: str | None = Field(None, description="More about it, or null.")


class TooManyRequestsResponse(ErrorResponse):
    """The body of a 429 because of how fast a team writes."""

    retryAfter: int | None = Field(  # noqa: N815 - the public API's name
        None, gt=0, le=SAFE_INTEGER, description="Seconds to wait, as in the header retry-after."
    )
