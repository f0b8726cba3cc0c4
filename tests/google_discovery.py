"""Google's own description of its API, as a judge of answers. For the tests of both sides of it.

``google-api-python-client`` brings the discovery documents along; their schemas are turned into
JSON Schema, closed: a field that Google does not know is wrong.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from starlette.responses import Response

from sitin.rehearsal.calendars import Exchange

_DOCUMENTS = ("calendar.v3", "oauth2.v2")
_METHODS = {
    "userinfo": "oauth2.userinfo.get",
    **{
        operation: f"calendar.{operation}"
        for operation in (
            *("calendarList.list", "calendarList.get", "calendars.get"),
            *("events.list", "events.get", "events.insert", "events.patch", "events.delete"),
            *("events.instances", "events.watch", "channels.stop"),
        )
    },
}
"""operation of the rehearsal → method of the discovery documents."""

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "errors"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string", "minLength": 1},
                "status": {"type": "string"},
                "details": {"type": "array", "items": {"required": ["@type", "reason"]}},
                "errors": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["domain", "reason", "message"],
                        "additionalProperties": {"type": "string"},
                    },
                },
            },
            "additionalProperties": False,
        }
    },
}
_OAUTH_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string"},
        "error_description": {"type": "string"},
        "error_subtype": {"type": "string"},
    },
    "additionalProperties": False,
}
_TOKEN: dict[str, Any] = {
    "type": "object",
    "required": ["access_token", "expires_in", "scope", "token_type"],
    "properties": {
        "access_token": {"type": "string", "minLength": 1},
        "expires_in": {"type": "integer", "minimum": 1},
        "scope": {"type": "string"},
        "token_type": {"const": "Bearer"},
    },
    "additionalProperties": False,
}

_formats = FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)  # type: ignore[untyped-decorator]
def _date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_formats.checks("date", raises=ValueError)  # type: ignore[untyped-decorator]
def _date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


class GoogleJudge:
    """Observes a rehearsal and notes every answer that Google would not give.

    Attributes:
        complaints: What was wrong with them.
    """

    def __init__(self) -> None:
        self.complaints: list[str] = []

    def __call__(self, exchange: Exchange, response: Response) -> None:
        if exchange.fault in ("html", "cut_off", "no_object", "wrong_types", "empty"):
            return
        self.complaints += [
            f"{exchange.method} {exchange.path} {exchange.status}: {complaint}"
            for complaint in _complaints(exchange, bytes(response.body))
        ]


def _complaints(exchange: Exchange, body: bytes) -> list[str]:
    if exchange.status == 204:
        return ["a body with 204"] if body else []
    value = json.loads(body)
    if exchange.status >= 400:
        is_token = exchange.operation == "token"
        return _against(value, "oauth error" if is_token else "error")
    if exchange.operation == "token":
        return _against(value, "token")
    method = _methods()[_METHODS[exchange.operation]]
    known = {*method["parameters"], *_parameters()}
    unknown = [f"unknown parameter {name}" for name in exchange.query if name not in known]
    return unknown + _against(value, method["response"]["$ref"])


def _against(value: Any, name: str) -> list[str]:
    return [
        f"{error.json_path}: {error.message[:300]}" for error in _validator(name).iter_errors(value)
    ]


@cache
def _validator(name: str) -> Draft202012Validator:
    own = {"error": _ERROR, "oauth error": _OAUTH_ERROR, "token": _TOKEN}
    schema = own.get(name) or {"$ref": f"#/$defs/{name}", "$defs": _definitions()}
    return Draft202012Validator(schema, format_checker=_formats)


@cache
def _document(name: str) -> dict[str, Any]:
    cached = files("googleapiclient") / "discovery_cache" / "documents" / f"{name}.json"
    document: dict[str, Any] = json.loads(cached.read_text())
    return document


@cache
def _definitions() -> dict[str, Any]:
    return {
        name: _json_schema(schema)
        for document in _DOCUMENTS
        for name, schema in _document(document)["schemas"].items()
    }


@cache
def _methods() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _DOCUMENTS:
        _collect(_document(name)["resources"], found)
    return found


@cache
def _parameters() -> frozenset[str]:
    return frozenset(_document("calendar.v3")["parameters"])


def _collect(resources: Mapping[str, Any], found: dict[str, Any]) -> None:
    for resource in resources.values():
        for method in resource.get("methods", {}).values():
            found[method["id"]] = {"parameters": {}, **method}
        _collect(resource.get("resources", {}), found)


def _json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    found: dict[str, Any] = {}
    if schema.get("type") != "any":
        found["type"] = schema["type"]
    if schema.get("format") in ("date", "date-time"):
        found["format"] = schema["format"]
    if schema.get("format") == "int64":
        found["pattern"] = r"^-?\d+$"
    if "enum" in schema:
        found["enum"] = schema["enum"]
    if "items" in schema:
        found["items"] = _json_schema(schema["items"])
    if "properties" in schema:
        found["properties"] = {
            name: _json_schema(inner) for name, inner in schema["properties"].items()
        }
        found["additionalProperties"] = False
    if "additionalProperties" in schema:
        found["additionalProperties"] = _json_schema(schema["additionalProperties"])
    return found
