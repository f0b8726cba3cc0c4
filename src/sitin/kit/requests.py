"""Reading JSON bodies of strangers, and saying what is wrong with them. Used by every route."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from fastapi import Request

from sitin.kit.errors import SitinError

BODY_LIMIT = 1024 * 1024
"""Bytes of a request's body; a hundred bots with generous ``extra`` fit in."""

_DEPTH = 64
"""Levels of nesting; PostgreSQL and every client's parser manage far more."""


class BadBodyError(SitinError):
    """The body is no JSON that could be stored."""

    code = "FST_ERR_VALIDATION"
    status = 400
    title = "Bad Request"


class BodyTooLargeError(SitinError):
    """The body is longer than this service reads."""

    code = "FST_ERR_CTP_BODY_TOO_LARGE"
    status = 413
    title = "Payload Too Large"


class JsonRequest(Request):
    """A request whose body is bounded and whose JSON the database can store."""

    async def body(self) -> bytes:
        """The whole body. Raises ``BodyTooLargeError``."""
        if not hasattr(self, "_body"):
            body = bytearray()
            async for chunk in self.stream():
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise BodyTooLargeError(f"The body may have {BODY_LIMIT} bytes.")
            self._body = bytes(body)
        return self._body

    async def json(self) -> Any:
        """The parsed body. Raises ``BadBodyError`` or the above."""
        if not hasattr(self, "_json"):
            self._require_json()
            self._json = read_json(await self.body())
        return self._json

    async def read(self, *, required: bool) -> None:
        """Read and parse the body now; without one there is nothing to parse where none is needed.

        Raises what ``json`` raises.
        """
        if required or await self.body():
            await self.json()

    def _require_json(self) -> None:
        declared = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if declared != "application/json" and not declared.endswith("+json"):
            raise BadBodyError(
                "body: send JSON with the header content-type: application/json, not "
                f"{declared or 'without one'}."
            )


def read_json(body: bytes) -> Any:
    """Parse strict JSON. Raises ``BadBodyError``."""
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadBodyError(f"body: this is not JSON ({reason}).") from None
    _check(value, "body", _DEPTH)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check(value: Any, path: str, depth: int) -> None:
    if depth == 0:
        raise BadBodyError(f"{path}: nested too deeply; {_DEPTH} levels are allowed.")
    match value:
        case dict():
            for key, item in value.items():
                _check_text(key, path)
                _check(item, f"{path}.{key}", depth - 1)
        case list():
            for index, item in enumerate(value):
                _check(item, f"{path}[{index}]", depth - 1)
        case str():
            _check_text(value, path)
        case float() if not math.isfinite(value):
            raise BadBodyError(f"{path}: the number is too large.")
        case _:
            pass


def _check_text(text: str, path: str) -> None:
    # PostgreSQL stores neither of them.
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        shown = path.encode(errors="replace").decode()
        raise BadBodyError(
            f"{shown}: text may hold neither a NUL character nor half of a surrogate pair."
        )


def sentence_of(errors: Iterable[Mapping[str, Any]], *, at: str = "body") -> str:
    """What pydantic found wrong, as ``field: what is wrong.`` for each problem.

    A location begins with where the value stood (``body``, ``query``, ``path``), or with the field
    itself when ``at`` tells where.
    """
    return " ".join(dict.fromkeys(_problem(error, at) for error in errors))


def _problem(error: Mapping[str, Any], at: str) -> str:
    path = list(error["loc"])
    where = path.pop(0) if path and path[0] in ("body", "query", "path") else at
    # A union's branches are no names of the client's; fields and positions are.
    names = [str(part) for part in path if isinstance(part, int) or part.islower()]
    field = ".".join(names) or where
    if error["type"] == "missing":
        what = "is required"
    elif error["type"] in ("too_short", "too_long") and isinstance(error.get("input"), str):
        # Our own texts are measured after they were looked at, where pydantic counts items.
        limits = error["ctx"]
        bound = (
            f"at least {limits['min_length']}"
            if error["type"] == "too_short"
            else f"at most {limits['max_length']}"
        )
        what = f"has {limits['actual_length']} characters and takes {bound}"
    else:
        what = str(error["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"{field}: {what}."
