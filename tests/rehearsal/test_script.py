import json
from pathlib import Path
from typing import Any

import pytest

from sitin.rehearsal.errors import ScriptError
from sitin.rehearsal.script import End, Say, Script, load_script, parse_script

pytestmark = pytest.mark.unit

ADA: dict[str, Any] = {"name": "Ada"}
BEN: dict[str, Any] = {"name": "Ben", "joins_at_start": False}


def refusal(data: object, base: Path = Path()) -> str:
    with pytest.raises(ScriptError) as caught:
        parse_script(data, base=base)
    return caught.value.message


def test_the_smallest_script_is_a_person_in_a_meeting() -> None:
    script = parse_script({"participants": [ADA]}, base=Path())
    assert script.participants[0].id == "Ada"
    assert script.video.resolution[0].height == 720
    assert script.clock_starts == "admission"


def test_it_is_read_from_json_with_recordings_beside_it(tmp_path: Path) -> None:
    (tmp_path / "hello.wav").write_bytes(b"RIFF")
    event = {"at": 1, "do": "say", "who": "Ada", "text": "hello", "audio": "hello.wav"}
    path = tmp_path / "script.json"
    path.write_text(
        json.dumps({"participants": [ADA], "timeline": [event, {"at": 4, "do": "end"}]})
    )
    say, end = load_script(path).timeline
    assert isinstance(say, Say)
    assert say.audio == tmp_path / "hello.wav"
    assert isinstance(end, End)


def test_a_script_survives_its_own_json() -> None:
    script = parse_script(
        {"participants": [ADA, BEN], "timeline": [{"at": 2, "do": "join", "who": "Ben"}]},
        base=Path(),
    )
    assert Script.model_validate_json(script.model_dump_json()) == script


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"participants": []}, "participants: "),
        ({"participants": [ADA, ADA]}, "participants: two participants are called 'Ada'"),
        ({"code": "ABC"}, "code: "),
        ({"nettwork": {}}, "nettwork: "),
        ({"network": {"loss": 2}}, "network.loss: "),
        ({"video": {"codec": "av1"}}, "video.codec: "),
        ({"video": {"resolution": [{"at": 3, "height": 720}]}}, "video.resolution: the first step"),
        ({"prejoin": {"join_button": "Let me in"}}, "prejoin.join_button: "),
        ({"timeline": [{"at": 1, "do": "dance"}]}, "timeline.0: "),
        ({"timeline": [{"at": -1, "do": "end"}]}, "timeline.0.at: "),
        (
            {"timeline": [{"at": 1, "do": "mute", "who": "Eve"}]},
            "timeline.0.who: nobody is called 'Eve'; the participants are 'Ada', 'Ben'",
        ),
        (
            {"timeline": [{"at": 1, "do": "say", "who": "Ben", "text": "hi"}]},
            "timeline.0.at: 'Ben' is not in the meeting at 1 s",
        ),
        (
            {"timeline": [{"at": 1, "do": "join", "who": "Ada"}]},
            "timeline.0.do: 'Ada' is in the meeting already at 1 s",
        ),
        (
            {"timeline": [{"at": 1, "do": "stop_presenting", "who": "Ada"}]},
            "timeline.0.do: 'Ada' does not present at 1 s",
        ),
        (
            {"timeline": [{"at": 1, "do": "end"}, {"at": 2, "do": "end"}]},
            "timeline: the meeting can end only once",
        ),
        (
            {"timeline": [{"at": 1, "do": "end"}, {"at": 2, "do": "mute", "who": "Ada"}]},
            "timeline: mute at 2 comes after the end at 1",
        ),
        (
            {"timeline": [{"at": 1, "do": "say", "who": "Ada", "text": "a", "audio": "no.wav"}]},
            "timeline.0.audio: there is no file no.wav",
        ),
    ],
)
def test_what_cannot_be_held_is_told_by_its_field(change: dict[str, Any], says: str) -> None:
    message = refusal({"participants": [ADA, BEN], **change})
    assert message.startswith(f"script: {says}")


def test_the_order_of_the_list_is_not_the_order_of_time() -> None:
    timeline = [
        {"at": 9, "do": "leave", "who": "Ben"},
        {"at": 5, "do": "join", "who": "Ben"},
        {"at": 6, "do": "present", "who": "Ben"},
    ]
    script = parse_script({"participants": [ADA, BEN], "timeline": timeline}, base=Path())
    assert [event.at for event in script.timeline] == [9, 5, 6]


def test_leaving_ends_a_presentation() -> None:
    timeline = [
        {"at": 1, "do": "present", "who": "Ada"},
        {"at": 2, "do": "leave", "who": "Ada"},
        {"at": 3, "do": "join", "who": "Ada"},
        {"at": 4, "do": "present", "who": "Ada"},
    ]
    assert (
        len(parse_script({"participants": [ADA], "timeline": timeline}, base=Path()).timeline) == 4
    )


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]"])
def test_a_file_that_is_no_script_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(ScriptError, match=r"broken\.json"):
        load_script(path)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"none\.json: cannot be read"):
        load_script(tmp_path / "none.json")
