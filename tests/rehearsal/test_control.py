"""The control routes, as a program in any language uses them."""

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from sitin.kit.errors import OperatorError
from sitin.rehearsal import RehearsalServer, Script, ScriptError
from sitin.rehearsal.control import CONTROLS, WAITS
from sitin.rehearsal.meeting import Meeting
from sitin.rehearsal.script import TimelineEvent
from tests.rehearsal.sounds import tone, write_wav

pytestmark = pytest.mark.e2e

SCRIPT: dict[str, Any] = {
    "participants": [{"name": "Ada", "video": False}, {"name": "Ben", "joins_at_start": False}],
    "clock_starts": "meeting",
    "timeline": [],
}
MEETING = "/meetings/abc-defg-hij"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RehearsalServer]:
    async with RehearsalServer(
        [Script.model_validate(SCRIPT)],
        truth_directory=tmp_path / "truth",
        cache_directory=tmp_path / "film",
    ) as running:
        yield running


@pytest.fixture
async def client(server: RehearsalServer) -> AsyncIterator[httpx.AsyncClient]:
    # Trusts nothing but the certificate that the server names.
    trust = ssl.create_default_context(cadata=server.certificate)
    async with httpx.AsyncClient(verify=trust, base_url=server.control_url) as made:
        yield made


async def test_meetings_are_listed_held_and_dropped(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/meetings")).json()["meetings"]
    assert [meeting["code"] for meeting in listed] == ["abc-defg-hij"]
    put = await client.put("/meetings/new-code-abc", json={"participants": [{"name": "Eve"}]})
    assert put.status_code == 201
    assert put.json()["url"] == "https://meet.google.com/new-code-abc"
    assert put.json()["participants"] == ["Eve"]
    assert put.json()["clock"] is None
    assert (await client.delete("/meetings/new-code-abc")).status_code == 204
    gone = await client.get("/meetings/new-code-abc")
    assert (gone.status_code, gone.json()["error"]) == (404, "REHEARSAL_UNKNOWN_MEETING")


async def test_controls_act_on_the_meeting(client: httpx.AsyncClient, tmp_path: Path) -> None:
    state = (await client.post(f"{MEETING}/join", json={"who": "Ben"})).json()
    assert state["participants"] == ["Ada", "Ben"]
    await client.post(f"{MEETING}/present", json={"who": "Ben"})
    await client.post(f"{MEETING}/leave", json={"who": "Ada"})
    state = (await client.get(MEETING)).json()
    assert state["participants"] == ["Ben"]
    audio = write_wav(tmp_path / "a.wav", tone((0.3, True)))
    await client.post(f"{MEETING}/say", json={"who": "Ben", "text": "hello", "audio": str(audio)})
    assert (await client.get(f"{MEETING}/wait/played")).status_code == 200
    ended = (await client.post(f"{MEETING}/end")).json()
    assert ended["ended"]
    truth = (await client.get(f"{MEETING}/truth")).json()
    assert [(turn["speaker"], turn["text"]) for turn in truth["turns"]] == [("Ben", "hello")]
    assert [stay["left_at"] is not None for stay in truth["attendance"]] == [True, True]
    written = json.loads((tmp_path / "truth" / "abc-defg-hij.truth.json").read_text())
    assert written == truth


async def test_waiting_is_answered_when_it_happens_or_times_out(client: httpx.AsyncClient) -> None:
    late = await client.get(f"{MEETING}/wait/joined", params={"timeout": 0.05})
    assert late.status_code == 408
    assert late.json()["message"] == "not joined within 0.05 s"
    reached = await client.get(f"{MEETING}/wait/reached", params={"seconds": 0.3})
    assert reached.json()["clock"] >= 0.3


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("join", {"who": "Eve"}, 409, "who: nobody is called 'Eve'"),
        ("join", {"who": "Ada"}, 409, "who: 'Ada' is in the meeting already"),
        ("join", {}, 400, "who: Field required"),
        ("join", {"who": "Ada", "why": "x"}, 400, "why: "),
        ("admit", {}, 409, "visitor: nobody of that kind is waiting"),
        ("remove_bot", {}, 409, "visitor: nobody of that kind is in the call"),
        ("refuse", {"how": "rudely"}, 400, "how: "),
        ("chat", {"who": "Ada", "text": ""}, 400, "text: "),
        ("dance", {}, 404, "there is no control 'dance'"),
        ("join", "{", 400, "the body is not JSON"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_field(
    client: httpx.AsyncClient, path: str, body: Any, status: int, says: str
) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    answer = await client.post(f"{MEETING}/{path}", content=content)
    assert answer.status_code == status
    assert answer.json()["message"].startswith(says)


async def test_a_bad_script_is_refused_and_the_old_meeting_stays(client: httpx.AsyncClient) -> None:
    answer = await client.put(MEETING, json={"participants": []})
    assert (answer.status_code, answer.json()["error"]) == (400, "REHEARSAL_SCRIPT")
    assert answer.json()["message"].startswith("script: participants: ")
    assert (await client.get(MEETING)).json()["participants"] == ["Ada"]


async def test_the_page_cannot_reach_the_controls(
    client: httpx.AsyncClient, server: RehearsalServer
) -> None:
    answer = await client.get("/meetings", headers={"host": "meet.google.com"})
    assert answer.status_code == 404
    other = await client.get(f"https://localhost:{server.port}/_rehearsal/meetings")
    assert other.status_code == 200


async def test_a_port_in_use_is_said_in_a_sentence(server: RehearsalServer) -> None:
    with pytest.raises(OperatorError, match=f"port {server.port} on 127.0.0.1 cannot be had"):
        async with RehearsalServer(port=server.port):
            pass


async def test_a_script_that_cannot_be_held_leaves_nothing_open(tmp_path: Path) -> None:
    say = {"at": 1, "do": "say", "who": "Ada", "text": "x", "audio": str(tmp_path / "none.wav")}
    script = Script.model_validate({**SCRIPT, "timeline": [say]})
    server = RehearsalServer([script], cache_directory=tmp_path)
    with pytest.raises(ScriptError, match=r"timeline\.0: .*none\.wav: is no audio"):
        async with server:
            pass
    async with RehearsalServer(port=server.port, cache_directory=tmp_path):
        pass


def test_every_event_of_a_script_is_a_control() -> None:
    union, _ = get_args(TimelineEvent)
    kinds = {kind.model_fields["do"].default for kind in get_args(union)}
    assert kinds <= set(CONTROLS)


def test_every_control_is_a_method_of_a_meeting() -> None:
    assert all(callable(getattr(Meeting, name)) for name in CONTROLS)
    assert all(getattr(Meeting, name) is method for name, method in WAITS.items())
