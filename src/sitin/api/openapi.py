"""The document of the API, generated from the code. Used by ``api.app``."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sitin.accounts.routing import KeyedRoute
from sitin.accounts.service import KEY_HEADER

_GIVES = {
    "createBot": ("/v2/bots/{bot_id}", "$response.body#/data/bot_id"),
    "createScheduledBot": ("/v2/bots/scheduled/{bot_id}", "$response.body#/data/bot_id"),
}
"""Operations whose answer holds an id, the paths it goes into, and where it is."""

_METHODS = {"get", "post", "put", "patch", "delete"}


def document(app: FastAPI) -> dict[str, Any]:
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
    _link(generated["paths"])
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


def _link(paths: dict[str, Any]) -> None:
    """Say where the id of what was created goes next."""
    operations = {
        operation["operationId"]: (path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if method in _METHODS
    }
    for giver, (prefix, where) in _GIVES.items():
        (parameter,) = re.findall(r"{(.*)}", prefix)
        operations[giver][1]["responses"]["201"]["links"] = {
            name: {"operationId": name, "parameters": {parameter: where}}
            for name, (path, _) in operations.items()
            if path.startswith(prefix)
        }
