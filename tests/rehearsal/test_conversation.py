import json
import os
from pathlib import Path

import pytest

from sitin.rehearsal import conversation, speech_from
from sitin.rehearsal.errors import ScriptError
from sitin.rehearsal.script import End, Say
from sitin.rehearsal.speech import load_speech
from tests.rehearsal.sounds import tone, write_wav

pytestmark = pytest.mark.unit


def recordings(directory: Path) -> Path:
    for name, seconds in (("ada-1", 2.0), ("ada-2", 3.0), ("ben-1", 2.5), ("noise", 1.0)):
        write_wav(directory / f"{name}.wav", tone((seconds, True), rate=16_000), 16_000)
    (directory / "README.md").write_text("notes")
    texts = {"ada-1.wav": "one", "ada-2.wav": "two", "ben-1.wav": "three", "gone.wav": "four"}
    (directory / "transcripts.json").write_text(json.dumps(texts))
    return directory


async def test_recordings_become_turns_that_repeat_until_the_time_is_filled(tmp_path: Path) -> None:
    script = await speech_from(recordings(tmp_path), seconds=15)
    assert [participant.name for participant in script.participants] == ["ada", "ben"]
    says = [event for event in script.timeline if isinstance(event, Say)]
    assert [(say.who, say.text) for say in says] == [
        ("ada", "one"),
        ("ben", "three"),
        ("ada", "two"),
        ("ada", "one"),
        ("ben", "three"),
    ]
    assert [say.at for say in says] == [1.0, 4.02, 7.54, 11.56, 14.58]
    assert isinstance(script.timeline[-1], End)
    assert script.timeline[-1].at == pytest.approx(says[-1].at + 2.5 + 2, abs=0.1)
    assert len(await load_speech(script)) == 5


@pytest.mark.parametrize(
    ("transcripts", "says"),
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ("[]", "has to be an object"),
        ("{}", "no WAV or FLAC recording"),
        ('{"a.wav": 3}', r"a\.wav: has to be what is said"),
        (json.dumps({"a.wav": "word " * 2000}), r"text: .*at most 5000 characters"),
    ],
)
async def test_a_directory_that_will_not_do_is_refused(
    tmp_path: Path, transcripts: str | None, says: str
) -> None:
    write_wav(tmp_path / "a.wav", tone((1, True)))
    if transcripts is not None:
        (tmp_path / "transcripts.json").write_text(transcripts)
    with pytest.raises(ScriptError, match=says):
        await speech_from(tmp_path)


HUMAN_SPEECH = Path(os.environ.get("SITIN_SHARED", "../shared")) / "data/speech"


@pytest.mark.skipif(not HUMAN_SPEECH.is_dir(), reason="no recordings of human speech are here")
async def test_human_speech_is_parted_at_its_pauses_and_nowhere_else() -> None:
    script = await speech_from(HUMAN_SPEECH)
    speeches = await load_speech(script)
    parts = {
        say.audio.name: [sound.text for sound in speech.utterance.sounds]
        for say, speech in zip(script.timeline, speeches, strict=False)
        if isinstance(say, Say) and say.audio is not None
    }
    # The address pauses for a second after its opening and after "ask not"; the others are
    # sentences read in one breath.
    assert [text.split()[-1] for text in parts.pop("jfk.flac")] == ["americans", "not", "country"]
    assert {len(texts) for texts in parts.values()} == {1}
    assert {say.who for say in speeches} == {"jfk", "speaker1", "speaker2"}


@pytest.mark.e2e
async def test_the_conversation_has_three_speakers_and_an_end() -> None:
    script = await conversation()
    assert len(script.participants) == 3
    speeches = await load_speech(script)
    ends = [speech.at + speech.utterance.duration for speech in speeches]
    assert 30 < script.timeline[-1].at < 60
    assert script.timeline[-1].at == pytest.approx(max(ends) + 2, abs=0.1)
    overlaps = sum(later.at < end for later, end in zip(speeches[1:], ends[:-1], strict=True))
    assert overlaps == 1


async def test_one_person_may_not_say_two_things_at_once(tmp_path: Path) -> None:
    script = await speech_from(recordings(tmp_path), seconds=2)
    say = script.timeline[0]
    twice = script.model_copy(update={"timeline": (say, say.model_copy(update={"at": 2.5}))})
    with pytest.raises(ScriptError, match=r"timeline\.1\.at: 'ada' still speaks until 3\.0"):
        await load_speech(twice)
