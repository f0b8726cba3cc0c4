"""Reading JSON bodies of strangers, and saying what is wrong with them. Used by every route."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from fastapi import Request

from sitin.kit.errors import SitinError

BODY_LIMIT = 1024 * 1024
"""Bytes of a request's body; a hundred bots with generous ``extra`` fit in."""

_READ_LEVELS = 128
"""Levels of nesting that are read: more than any field may have, fewer than the parser manages."""

_READ_DIGITS = 4300
"""Of an integer; Python converts no more."""

_BRACKETS = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"?|(?P<opening>[\[{])|(?P<closing>[\]}])', re.DOTALL
)
"""A bracket, or a string, in which brackets mean nothing; one without an end reaches to the last
character, so that no character is looked at for every quote before it."""


class BadBodyError(SitinError):
    """The body is no JSON."""

    code = "FST_ERR_VALIDATION"
    status = 400
    title = "Bad Request"


class BodyTooLargeError(SitinError):
    """The body is longer than this service reads."""

    code = "FST_ERR_CTP_BODY_TOO_LARGE"
    status = 413
    title = "Payload Too Large"


class JsonRequest(Request):
    """A request whose body is bounded and, when it is read as JSON, strict JSON."""

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
    """Parse strict JSON. Raises ``BadBodyError``.

    What fields take is for their types to say; so a number that no field could hold is read as
    infinity, and what is nested deeper than any field may be as null.
    """
    try:
        # Half of a surrogate pair is its field's affair, written out as much as escaped.
        text = body.decode(errors="surrogatepass")
    except UnicodeDecodeError as error:
        raise _no_json(f"byte {error.start + 1} is not UTF-8") from None
    try:
        try:
            return _parse(text)
        except RecursionError:
            return _parse(_without_depths(text))
    except json.JSONDecodeError as error:
        raise _no_json(f"{error.msg} in line {error.lineno}, column {error.colno}") from None


def _no_json(reason: str) -> BadBodyError:
    return BadBodyError(f"body: this is not JSON ({reason}).")


def _parse(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant, parse_int=_integer)


def _no_constant(name: str) -> NoReturn:
    raise _no_json(f"{name} is no JSON number")


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= _READ_DIGITS else math.inf


def _without_depths(text: str) -> str:
    """The text with null instead of what is nested deeper than ``_READ_LEVELS``."""
    kept, level, start = [], 0, 0
    for token in _BRACKETS.finditer(text):
        if token["opening"]:
            level += 1
            if level == _READ_LEVELS + 1:
                kept.append(text[start : token.start()])
        elif token["closing"]:
            if level == _READ_LEVELS + 1:
                start = token.end()
            level -= 1
    return "null".join([*kept, text[start:]])


_NO_OBJECT = {"model_type", "model_attributes_type", "dict_type"}
"""What pydantic calls it; its sentences name what the value would become."""


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
    # Further into a value that is one to pydantic; the names there are the client's own.
    names += error.get("ctx", {}).get("way", ())
    field = ".".join(names).encode(errors="replace").decode() or where
    if error["type"] == "missing":
        what = "is required"
    elif error["type"] in _NO_OBJECT:
        what = "must be an object"
    elif error["type"] in ("too_short", "too_long"):
        limits = error["ctx"]
        # Our own texts are measured after they were looked at, where pydantic counts items.
        counted = "characters" if isinstance(error.get("input"), str) else "items"
        bound = (
            f"at least {limits['min_length']}"
            if error["type"] == "too_short"
            else f"at most {limits['max_length']}"
        )
        what = f"has {limits['actual_length']} {counted} and takes {bound}"
    else:
        what = str(error["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"{field}: {what}."
