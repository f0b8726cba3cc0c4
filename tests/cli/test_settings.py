"""Settings: defaults, spellings, and one sentence for what is wrong."""

from datetime import timedelta
from pathlib import Path

import pytest

from sitin.cli.settings import load_settings
from sitin.kit.errors import OperatorError
from sitin.runner.note_takers import NOTE_TAKERS

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("SITIN_"):
            monkeypatch.delenv(name)


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    settings = load_settings()
    assert settings.data_dir == Path("/home/somebody/.local/share/sitin")
    assert settings.storage == "file:///home/somebody/.local/share/sitin/artifacts"
    assert settings.max_recording == timedelta(hours=4)
    assert settings.max_bots >= 1
    assert settings.video == "live"
    assert not settings.allow_private_addresses
    assert (settings.metrics_host, settings.metrics_port) == ("127.0.0.1", 9464)
    assert settings.plain_metrics_token is None


def test_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITIN_MAX_RECORDING", "90m")
    monkeypatch.setenv("SITIN_WEBHOOK_RETENTION", "14d")
    monkeypatch.setenv("SITIN_SECRET_KEYS", "one, two")
    monkeypatch.setenv("SITIN_BROWSER_ARGS", "--a --b=c")
    monkeypatch.setenv("SITIN_MAX_BOTS", "0")
    monkeypatch.setenv("SITIN_VIDEO", "")
    monkeypatch.setenv("SITIN_METRICS_PORT", "None")
    settings = load_settings()
    assert settings.max_recording == timedelta(minutes=90)
    assert settings.webhook_retention == timedelta(days=14)
    assert [key.get_secret_value() for key in settings.secret_keys] == ["one", "two"]
    assert settings.browser_args == ("--a", "--b=c")
    assert settings.max_bots == 0
    assert settings.video == "live"
    assert settings.metrics_port is None


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("", NOTE_TAKERS),
        ("*Scribe*, Minutes (bot) ,", ("*Scribe*", "Minutes (bot)")),
        ("none", ()),
    ],
)
def test_names_of_note_takers(
    monkeypatch: pytest.MonkeyPatch, text: str, patterns: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SITIN_NOTE_TAKERS", text)
    assert load_settings().note_takers == patterns


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SITIN_MAX_BOTS", "many", "SITIN_MAX_BOTS: .*integer"),
        ("SITIN_MAX_BOTS", "-1", "SITIN_MAX_BOTS: .*greater"),
        ("SITIN_MAX_RECORDING", "long", "SITIN_MAX_RECORDING: must be a duration"),
        ("SITIN_WEBHOOK_RETENTION", "0", "SITIN_WEBHOOK_RETENTION: .*greater"),
        ("SITIN_WEBHOOK_RETENTION", "9" * 30 + "d", "SITIN_WEBHOOK_RETENTION: .*ten years"),
        ("SITIN_BROWSER_HOST_RULES", "rubbish", "SITIN_BROWSER_HOST_RULES: .*neither MAP"),
        ("SITIN_METRICS_PORT", "http", "SITIN_METRICS_PORT: .*integer"),
        ("SITIN_METRICS_PORT", "65536", "SITIN_METRICS_PORT: .*65535"),
        ("SITIN_METRICS_TOKEN", "hidden", "SITIN_METRICS_TOKEN: must have 16"),
        ("SITIN_METRICS_TOKEN", "hidden and with spaces", "SITIN_METRICS_TOKEN: must have 16"),
        ("SITIN_VIDEO", "vhs", "SITIN_VIDEO: .*live.*dense"),
        ("SITIN_NOTE_TAKERS", "*Scribe*, *", "SITIN_NOTE_TAKERS: .* would match too many names"),
        ("SITIN_DATABASE_URL", "mysql://x", "SITIN_DATABASE_URL: must be an address"),
        ("SITIN_DATABASE_URL", "postgresql://u:hidden@h/d", "SITIN_SECRET_KEYS must be set"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(OperatorError, match=sentence) as raised:
        load_settings()
    assert "hidden" not in raised.value.message
    assert "\n" not in raised.value.message
