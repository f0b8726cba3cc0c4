"""Every field of every request: what could not be stored is refused before anybody sees it."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any, cast

import pytest
from annotated_types import MinLen
from pydantic import BaseModel, TypeAdapter, ValidationError

from sitin.api.app import ROUTERS
from sitin.kit.wire import In

pytestmark = pytest.mark.unit


def requests() -> set[type[BaseModel]]:
    """Every model that a body, or a part of one, is read as."""
    assert ROUTERS

    def below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
        for derived in model.__subclasses__():
            yield derived
            yield from below(derived)

    return {model for model in below(In) if model.__module__.startswith("sitin.")}


def test_no_field_takes_text_that_cannot_be_stored() -> None:
    fields: list[tuple[str, TypeAdapter[Any]]] = [
        (f"{model.__name__}.{name}", TypeAdapter(cast("Any", Annotated[field.annotation, field])))
        for model in requests()
        for name, field in model.model_fields.items()
    ]
    assert len(fields) > 50
    for text in ("https://example.com/\x00", "\ud800", "x\udfffy"):
        for value in (text, {"a": text}, {text: "a"}, [text]):
            for name, field in fields:
                with contextlib.suppress(ValidationError):
                    assert repr(text)[1:-1] not in repr(field.validate_python(value)), name


@pytest.mark.parametrize(
    "blank", ["   ", "\u200b\u200d\ufeff", "\x01\x1f\t", "\u00a0\u3000", "\u3164\u2800", "\u0301"]
)
def test_no_field_that_needs_text_takes_blank_text(blank: str) -> None:
    fields = [
        (f"{model.__name__}.{name}", TypeAdapter(cast("Any", Annotated[field.annotation, field])))
        for model in requests()
        for name, field in model.model_fields.items()
        if field.annotation is str and any(isinstance(one, MinLen) for one in field.metadata)
    ]
    assert {name.partition(".")[2] for name, _ in fields} >= {"bot_name", "oauth_client_secret"}
    for _, field in fields:
        with pytest.raises(ValidationError, match="at least one visible character"):
            field.validate_python(blank)
        assert field.validate_python(f"{blank}x") == f"{blank}x"
