"""The generated document, and that it is the contract's where the contract is here."""

from dataclasses import fields
from typing import Any

import pytest

from sitin.api.app import Services, create_app
from sitin.bots.schemas import BotWebhookCompleted, BotWebhookFailed, BotWebhookStatusChange
from sitin.kit.wire import Out
from tests.api.conftest import Api
from tests.documents import OPERATIONS, Document, contract, own, shape
from tests.shared import needs_shared

pytestmark = pytest.mark.db

KEY = ("header", "Idempotency-Key")
"""The one parameter that the contract does not have."""

NOTHING_REQUIRED = {"updateCalendarConnection"}
"""Operations that by the reference change what is given, though the schema requires all."""


async def test_the_document_needs_no_key(api: Api) -> None:
    response = await api.client_with(None).get("/openapi.json")
    assert response.status_code == 200
    document = response.json()
    assert document["components"]["securitySchemes"]["ApiKeyAuth"]["in"] == "header"
    assert "422" not in response.text
    assert set(own(api.app).operations) == set(OPERATIONS)


@pytest.fixture(scope="module")
def document() -> Document:
    """What the code says of itself; no service has to run for that."""
    nothing: dict[str, Any] = {field.name: None for field in fields(Services)}
    return own(create_app(Services(**nothing)))


@needs_shared("contract", "openapi-v2.json")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_is_the_contracts(document: Document, operation: str) -> None:
    ours, theirs = document, contract()
    assert theirs is not None
    assert ours.places[operation] == theirs.places[operation]
    parameters = ours.parameters(operation)
    parameters.pop(KEY, None)
    assert parameters == theirs.parameters(operation)
    wanted = shape(theirs.request(operation))
    if operation in NOTHING_REQUIRED:
        del wanted["required"]
    assert shape(ours.request(operation)) == wanted
    for status in theirs.operations[operation]["responses"]:
        assert shape(ours.response(operation, int(status))) == shape(
            theirs.response(operation, int(status))
        ), status
    added = (
        ours.operations[operation]["responses"].keys()
        - theirs.operations[operation]["responses"].keys()
    )
    # The reference and the rules for all operations tell of answers that the schema leaves out.
    assert added <= {"401", "402", "403", "404", "429"} | (
        {"409"} if takes_key(ours, operation) else set()
    )


def takes_key(document: Document, operation: str) -> bool:
    return KEY in document.parameters(operation)


def test_every_post_that_changes_something_takes_an_idempotency_key(document: Document) -> None:
    posts = {name for name, (method, _) in document.places.items() if method == "POST"}
    assert {one for one in OPERATIONS if takes_key(document, one)} == posts - {"listRawCalendars"}
    for operation in posts - {"listRawCalendars"}:
        required, schema = document.parameters(operation)[KEY]
        assert not required
        assert (schema["minLength"], schema["maxLength"]) == (1, 255)
        assert "409" in document.operations[operation]["responses"]


@needs_shared("contract", "openapi-v2.json")
@pytest.mark.parametrize(
    ("model", "names"),
    [
        (BotWebhookStatusChange, ["BotWebhookStatusChange"]),
        (BotWebhookCompleted, ["BotWebhookCompleted", "CallbackCompleted"]),
        (BotWebhookFailed, ["BotWebhookFailed", "CallbackFailed"]),
    ],
)
def test_a_payload_is_the_contracts(model: type[Out], names: list[str]) -> None:
    theirs = contract()
    assert theirs is not None
    for name in names:
        assert shape(_inline(model.model_json_schema(mode="serialization"))) == shape(
            theirs.component(name)
        )


def _inline(schema: dict[str, Any]) -> Any:
    definitions = schema.pop("$defs", {})

    def follow(part: Any) -> Any:
        if isinstance(part, list):
            return [follow(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return follow(definitions[part["$ref"].rpartition("/")[2]])
        return {key: follow(value) for key, value in part.items()}

    return follow(schema)
