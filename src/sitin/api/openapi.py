"""The document of the API, generated from the code. Used by ``api.app``."""

import re
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi

from sitin.accounts.idempotency import KEY_HEADER as IDEMPOTENCY_HEADER
from sitin.accounts.idempotency import MAX_KEY_LENGTH, REPLAYED_HEADER
from sitin.accounts.routing import KeyedRoute
from sitin.accounts.service import KEY_HEADER

_GIVES = {
    "createBot": ("/v2/bots/{bot_id}", "$response.body#/data/bot_id"),
    "createScheduledBot": ("/v2/bots/scheduled/{bot_id}", "$response.body#/data/bot_id"),
}
"""Operations whose answer holds an id, the paths it goes into, and where it is."""

_IDEMPOTENCY_KEY = {
    "name": IDEMPOTENCY_HEADER,
    "in": "header",
    "required": False,
    "description": (
        "A key of your choice for this request, such as a UUID. Repeated with it within 24 hours, "
        "the same request has no second effect and gets the first answer."
    ),
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_KEY_LENGTH,
        "pattern": "^[ -~]+$",
    },
}
_REPLAYED = {
    REPLAYED_HEADER: {
        "description": "Present where this is the answer to an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
_KEY_TAKEN = "The idempotency key was sent with another request, or with one that is under way."

_METHODS = {"get", "post", "put", "patch", "delete"}


def document(app: FastAPI, routers: Iterable[APIRouter]) -> dict[str, Any]:
    """The app's OpenAPI document: errors are 400s of our own, and keys are named once."""
    generated = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
        webhooks=app.webhooks.routes,
    )
    for path in (*generated["paths"].values(), *generated["webhooks"].values()):
        for method, operation in path.items():
            if method in _METHODS:
                _mend(operation)
    operations = {
        operation["operationId"]: (path, operation)
        for path, methods in generated["paths"].items()
        for method, operation in methods.items()
        if method in _METHODS
    }
    for router in routers:
        for route in router.routes:
            if isinstance(route, KeyedRoute) and route.takes_idempotency_key:
                _take_idempotency_key(operations[route.operation][1])
    _link(operations)
    components = generated["components"]
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = {
        "ApiKeyAuth": {
            "type": "apiKey",
            "in": "header",
            "name": KEY_HEADER,
            "description": "A key of your team, made with `sitin key create`.",
        }
    }
    generated["security"] = KeyedRoute.security
    return generated


def _mend(operation: dict[str, Any]) -> None:
    # The framework documents its own 422, which this API never answers with.
    operation["responses"].pop("422", None)
    for parameter in operation.get("parameters", ()):
        # A parameter with a default that the contract calls required all the same.
        if parameter["schema"].pop("x-required", False):
            parameter["required"] = True


def _take_idempotency_key(operation: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    responses = operation["responses"]
    if "409" in responses:
        responses["409"]["description"] += f" {_KEY_TAKEN}"
    else:
        schema = {"$ref": "#/components/schemas/ErrorResponse"}
        content = {"application/json": {"schema": schema}}
        responses["409"] = {"description": _KEY_TAKEN, "content": content}
    for status in responses.keys() & {"200", "201"}:
        responses[status]["headers"] = _REPLAYED


def _link(operations: dict[str, tuple[str, dict[str, Any]]]) -> None:
    """Say where the id of what was created goes next."""
    for giver, (prefix, where) in _GIVES.items():
        (parameter,) = re.findall(r"{(.*)}", prefix)
        operations[giver][1]["responses"]["201"]["links"] = {
            name: {"operationId": name, "parameters": {parameter: where}}
            for name, (path, _) in operations.items()
            if path.startswith(prefix)
        }
