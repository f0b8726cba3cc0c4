"""Checks every answer of the API against its documents, whoever asked. For tests.

Against the contract where it is there, against our own document everywhere; a test holds the two
equal.
"""

import json
from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI

from tests.documents import Document, contract, own, violations

Message = MutableMapping[str, Any]


class CheckedApp:
    """An ASGI app around the API's; what breaks a schema is found in ``broken``."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        theirs = contract()
        self._documents = (own(app),) if theirs is None else (own(app), theirs)
        self.broken: list[str] = []
        self.checked = 0
        """Answers that had a schema."""

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, body = 0, bytearray()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    self._check(scope["method"], scope["path"], status, bytes(body))
            await send(message)

        await self._app(scope, receive, watch)

    def _check(self, method: str, path: str, status: int, body: bytes) -> None:
        for document in self._documents:
            operation = document.operation_at(method, path)
            if operation is None:
                continue
            self.checked += 1
            found = violations(_schema(document, operation, status, body), _read(status, body))
            self.broken += [f"{operation} {status}: {one}" for one in found]


def _schema(document: Document, operation: str, status: int, body: bytes) -> Any:
    schema = document.response(operation, status)
    if schema is None or _is_limit(status, body):
        # The contract documents no 401 and 403 here; they have the one error body.
        return document.component("ErrorResponse")
    return schema


def _read(status: int, body: bytes) -> Any:
    value = json.loads(body)
    if _is_limit(status, body):
        # Told by the limit before the operation, with a field of its own.
        assert value.pop("retryAfter") >= 1
    return value


def _is_limit(status: int, body: bytes) -> bool:
    return status == 429 and b'"FST_ERR_TOO_MANY_REQUESTS"' in body
