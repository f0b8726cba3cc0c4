"""The judge of Google's answers finds what is wrong with one."""

import json
from typing import Any

import pytest
from starlette.responses import Response

from sitin.rehearsal.calendars import Exchange
from tests.google_discovery import GoogleJudge

pytestmark = pytest.mark.unit

EVENT: dict[str, Any] = {
    "kind": "calendar#event",
    "id": "abc",
    "status": "confirmed",
    "start": {"dateTime": "2027-03-22T10:00:00+01:00", "timeZone": "Europe/Paris"},
    "end": {"date": "2027-03-23"},
    "attendees": [{"email": "ada@example.com", "self": True}],
}


def complaints(
    operation: str, body: object, *, status: int = 200, fault: str | None = None, **query: str
) -> list[str]:
    judge = GoogleJudge()
    exchange = Exchange(operation, "GET", "/path", query, 1, None, status, b"", fault)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    judge(exchange, Response(content, status))
    return judge.complaints


def test_a_right_answer_is_let_pass() -> None:
    assert complaints("events.get", EVENT) == []
    assert complaints("events.list", {"items": [EVENT]}, timeMin="x", key="x") == []
    assert complaints("events.delete", b"", status=204) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"sumary": "misspelt"},
        {"summary": None},
        {"start": {"dateTime": "2027-03-22T10:00:00"}},
        {"start": {"dateTime": "ten o'clock"}},
        {"end": {"date": "2027-02-30"}},
        {"sequence": "1"},
        {"attendees": [{"mail": "ada@example.com"}]},
        {"conferenceData": {"entryPoints": [{"url": "x"}]}},
    ],
)
def test_a_wrong_field_is_found(changes: dict[str, Any]) -> None:
    assert len(complaints("events.get", {**EVENT, **changes})) == 1
    assert len(complaints("events.list", {"items": [EVENT, {**EVENT, **changes}]})) == 1


def test_other_wrongs_are_found() -> None:
    assert complaints("events.list", {"items": []}, timeMinimum="x") == [
        "GET /path 200: unknown parameter timeMinimum"
    ]
    assert complaints("events.watch", {"id": "x", "expiration": "1e12"})
    assert complaints("events.watch", {"id": "x", "expiration": 1000})
    assert complaints("events.get", {"error": {"code": 404, "message": "no"}}, status=404)
    assert complaints("events.delete", b"{}", status=204)
    assert complaints("token", {"access_token": "x", "expires_in": 1, "token_type": "Bearer"})
    assert complaints("token", {"error": {"code": 400}}, status=400)


def test_nonsense_that_was_asked_for_is_none_of_its_business() -> None:
    assert complaints("events.list", b"<html>", fault="html") == []
