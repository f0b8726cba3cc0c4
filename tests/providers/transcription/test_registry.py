"""Which engine serves a request, by what the operator has set."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from sitin.kit.errors import OperatorError
from sitin.providers.transcription.registry import Engines, build_engines
from sitin.providers.transcription.settings import TranscriptionSettings

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SITIN_")]:
        monkeypatch.delenv(name)


def built(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Engines:
    for name, value in environment.items():
        monkeypatch.setenv(f"SITIN_{name}", value)
    return build_engines(TranscriptionSettings())


async def test_a_bare_install_has_its_local_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = built(monkeypatch)
    assert engines.default == "pocketsphinx"
    assert engines.choose("gladia", own_key=False) == "pocketsphinx"
    assert engines.choose("gladia", own_key=True) == "gladia"
    assert engines.choose("pocketsphinx", own_key=False) == "pocketsphinx"
    assert engines.choose("somebody-else", own_key=True) == "pocketsphinx"
    assert engines.capabilities("gladia").max_duration == 7200
    assert engines.capabilities("pocketsphinx").per_participant
    await engines.aclose()


async def test_a_gladia_key_makes_gladia_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = built(monkeypatch, GLADIA_API_KEY="key")
    assert engines.default == "gladia"
    assert engines.choose("gladia", own_key=False) == "gladia"
    await engines.aclose()


async def test_an_empty_setting_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = built(monkeypatch, GLADIA_API_KEY="", TRANSCRIPTION_DEFAULT="")
    assert engines.default == "pocketsphinx"
    await engines.aclose()


async def test_the_operator_chooses_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = built(monkeypatch, GLADIA_API_KEY="key", TRANSCRIPTION_DEFAULT="pocketsphinx")
    assert engines.default == "pocketsphinx"
    assert engines.choose("gladia", own_key=False) == "gladia"
    await engines.aclose()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"TRANSCRIPTION_DEFAULT": "gladia"}, "SITIN_GLADIA_API_KEY"),
        ({"TRANSCRIPTION_DEFAULT": "faster-whisper"}, "SITIN_WHISPER_MODEL"),
    ],
)
def test_a_default_that_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(OperatorError, match=sentence):
        built(monkeypatch, **environment)


def test_whisper_without_its_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sitin.providers.transcription.registry.find_spec", lambda name: None)
    with pytest.raises(OperatorError, match="make setup EXTRAS=whisper"):
        built(monkeypatch, WHISPER_MODEL="base")


def test_a_whisper_directory_without_a_model_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "sitin.providers.transcription.registry.find_spec", lambda name: find_spec("json")
    )
    with pytest.raises(OperatorError, match=r"model\.bin"):
        built(monkeypatch, WHISPER_MODEL=str(tmp_path))


async def test_a_whisper_model_beats_pocketsphinx(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "sitin.providers.transcription.registry.find_spec", lambda name: find_spec("json")
    )
    (tmp_path / "model.bin").touch()
    engines = built(monkeypatch, WHISPER_MODEL=str(tmp_path))
    assert engines.default == "faster-whisper"
    assert engines.choose("gladia", own_key=False) == "faster-whisper"
    await engines.aclose()
