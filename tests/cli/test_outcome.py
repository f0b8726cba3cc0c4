"""What the demo makes of the webhooks it has received."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sitin.cli.demo.outcome import Outcome
from sitin.cli.demo.receiver import Received, Receiver
from sitin.rehearsal import Truth

pytestmark = pytest.mark.unit


def change(code: str, at: str) -> Received:
    data = {"status": {"code": code, "created_at": at}}
    body = json.dumps({"event": "bot.status_change", "data": data})
    return Received(headers={"svix-id": code}, body=body, secret="")


def silent(now: datetime) -> Truth:
    return Truth(
        code="abc-defg-hij",
        opened_at=now,
        clock_started_at=None,
        ended_at=None,
        turns=(),
        attendance=(),
        visits=(),
        video=(),
    )


def test_changes_of_one_moment_keep_their_order_however_they_arrive() -> None:
    receiver = Receiver("http://127.0.0.1:1")
    receiver.received = [
        change("completed", "2026-01-01T00:00:03.000Z"),
        change("transcribing", "2026-01-01T00:00:02.000Z"),
        change("recording_succeeded", "2026-01-01T00:00:02.000Z"),
        change("queued", "2026-01-01T00:00:01.000Z"),
    ]
    now = datetime.now(UTC)
    outcome = Outcome({}, receiver, {}, [], silent(now), now)
    assert [one["code"] for one in outcome.statuses] == [
        "queued",
        "recording_succeeded",
        "transcribing",
        "completed",
    ]


def test_a_report_names_where_the_files_are() -> None:
    receiver = Receiver("http://127.0.0.1:1")
    now = datetime.now(UTC)
    report = Outcome({}, receiver, {"video": Path("/a/output.mp4")}, [], silent(now), now).report()
    assert report["artifacts"] == {"video": "/a/output.mp4", "participants": []}
