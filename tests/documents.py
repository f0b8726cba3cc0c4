"""The API's documents: the contract's where it is there, our own everywhere. For tests."""

import copy
import functools
import json
import re
from typing import Any

from fastapi import FastAPI
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel

from sitin.bots.schemas import BotWebhookCompleted, BotWebhookFailed, BotWebhookStatusChange
from tests.shared import shared

BOT_OPERATIONS = (
    "createBot",
    "batchCreateBots",
    "listBots",
    "getBotDetails",
    "getBotStatus",
    "getBotScreenshots",
    "leaveBot",
    "deleteBotData",
    "resendFinalWebhook",
    "retryCallback",
    "createScheduledBot",
    "batchCreateScheduledBots",
    "listScheduledBots",
    "getScheduledBotDetails",
    "updateScheduledBot",
    "deleteScheduledBot",
)
"""The operations on bots."""

CALENDAR_OPERATIONS = (
    "listRawCalendars",
    "createCalendarConnection",
    "listCalendars",
    "getCalendarDetails",
    "updateCalendarConnection",
    "deleteCalendarConnection",
    "syncCalendar",
    "resubscribeCalendar",
    "listEvents",
    "listEventSeries",
    "getEventDetails",
    "createCalendarBot",
    "updateCalendarBot",
    "deleteCalendarBot",
)

OPERATIONS = (*BOT_OPERATIONS, *CALENDAR_OPERATIONS)
"""All there are; both documents are equal in them."""

# What describes a value to a person, or how a generator got there, says nothing about its shape.
_NO_SHAPE = {"description", "title", "example", "examples", "default", "$schema", "$id", "summary"}


class Document:
    """An OpenAPI document with its references followed."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw
        self.operations: dict[str, dict[str, Any]] = {}
        self.places: dict[str, tuple[str, str]] = {}
        for path, methods in raw["paths"].items():
            for method, operation in methods.items():
                self.operations[operation["operationId"]] = operation
                self.places[operation["operationId"]] = (method.upper(), path)

    def follow(self, schema: Any) -> Any:
        """The schema with every reference replaced by what it points at."""
        if isinstance(schema, list):
            return [self.follow(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            return self.follow({**self._raw["components"]["schemas"][name], **rest})
        return {key: self.follow(value) for key, value in schema.items()}

    def component(self, name: str) -> Any:
        """A named schema."""
        return self.follow({"$ref": f"#/components/schemas/{name}"})

    def request(self, operation_id: str) -> Any:
        """The schema of an operation's body, or ``None``."""
        body = self.operations[operation_id].get("requestBody")
        return None if body is None else self.follow(body["content"]["application/json"]["schema"])

    def response(self, operation_id: str, status: int) -> Any:
        """The schema of an answer, or ``None`` when the document has none for this status."""
        answer = self.operations[operation_id]["responses"].get(str(status))
        return (
            None if answer is None else self.follow(answer["content"]["application/json"]["schema"])
        )

    def parameters(self, operation_id: str) -> dict[tuple[str, str], Any]:
        """``(in, name)`` → whether it is required, and its shape."""
        return {
            (one["in"], one["name"]): (one["required"], shape(self.follow(one["schema"])))
            for one in self.operations[operation_id].get("parameters", ())
        }

    def operation_at(self, method: str, path: str) -> str | None:
        """The operation that answers a request."""
        # A word of the path's own goes before one that stands for any.
        places = sorted(self.places.items(), key=lambda place: place[1][1].count("{"))
        for operation_id, (known, template) in places:
            pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
            if known == method and re.fullmatch(pattern, path):
                return operation_id
        return None


_WEBHOOKS: dict[str, type[BaseModel]] = {
    "bot.status_change": BotWebhookStatusChange,
    "bot.completed": BotWebhookCompleted,
    "bot.failed": BotWebhookFailed,
}


@functools.cache
def webhook_schema(event: str, *, callback: bool = False) -> Any:
    """The schema of an event's payload: the contract's, else our own; ``None`` without either."""
    document = contract()
    if document is None:
        model = _WEBHOOKS.get(event)
        return None if model is None else model.model_json_schema()
    if event == "calendar.connection_error":
        # The contract has no schema for it: connection_updated and why.
        schema = copy.deepcopy(document.component("CalendarWebhookConnectionUpdated"))
        schema["properties"]["event"]["const"] = event
        schema["properties"]["data"]["properties"]["error_message"] = {"type": "string"}
        schema["properties"]["data"]["required"].append("error_message")
        return schema
    room, _, what = event.partition(".")
    kind = "Callback" if callback else f"{room.title()}Webhook"
    return document.component(kind + what.title().replace("_", ""))


@functools.cache
def contract() -> Document | None:
    """The public API's own document, if it is here."""
    path = shared("contract", "openapi-v2.json")
    return None if path is None else Document(json.loads(path.read_text()))


_own: list[Document] = []


def own(app: FastAPI) -> Document:
    """The document generated from the code: every app's is the same, and takes long to make."""
    if not _own:
        _own.append(Document(app.openapi()))
    return _own[0]


def shape(schema: Any, *, inside: str | None = None) -> Any:
    """What a schema allows, in one spelling, so that two documents can be compared."""
    if isinstance(schema, list):
        return [shape(item) for item in schema]
    if isinstance(schema, float) and schema.is_integer():
        return int(schema)
    if not isinstance(schema, dict):
        return schema
    if inside == "properties":
        return {name: shape(value) for name, value in schema.items()}
    if "allOf" in schema:
        return shape(_merged(schema["allOf"]))
    result = {
        key: shape(value, inside=key) for key, value in schema.items() if key not in _NO_SHAPE
    }
    if "anyOf" in result:
        result["anyOf"] = _spelled(result["anyOf"])
    if len(result.get("enum", ())) == 1:
        (result["const"],) = result.pop("enum")
    if "enum" in result:
        result["enum"] = sorted(result["enum"])
    if "required" in result:
        result["required"] = sorted(result["required"])
    if "const" in result:
        result.setdefault("type", "boolean" if isinstance(result["const"], bool) else "string")
    if result.get("additionalProperties") in ({}, True):
        del result["additionalProperties"]
    result.pop("propertyNames", None)  # names in JSON are strings anyway
    return result


def _spelled(options: list[Any]) -> list[str]:
    """Alternatives in one order; alternatives of alternatives are alternatives."""
    spelled: set[str] = set()
    for option in options:
        nested = set(option) == {"anyOf"}
        spelled |= set(option["anyOf"]) if nested else {json.dumps(option, sort_keys=True)}
    return sorted(spelled)


def _merged(parts: list[Any]) -> Any:
    """Objects that all hold, as one object."""
    merged: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            match merged.get(key), value:
                case dict() as before, dict():
                    merged[key] = {**before, **value}
                case list() as before, list():
                    merged[key] = [*before, *value]
                case _:
                    merged[key] = value
    return merged


def violations(schema: Any, value: Any) -> list[str]:
    """How a value breaks a schema."""
    found = Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]
