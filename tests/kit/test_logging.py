"""What reaches standard error, in a process of its own because logging is global."""

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from sitin.kit.logging import redact

pytestmark = pytest.mark.unit


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        check=True,
        capture_output=True,
        text=True,
    )


def lines(script: str) -> list[dict[str, Any]]:
    result = run(script)
    assert result.stdout == ""
    return [json.loads(line) for line in result.stderr.splitlines()]


def test_both_kinds_of_loggers_write_json_to_standard_error() -> None:
    first, second = lines("""
        import logging, structlog
        from sitin.kit.logging import configure
        configure(as_json=True)
        structlog.get_logger("ours").info("bot_launched", bot="7")
        logging.getLogger("theirs").warning("something %s", "odd", extra={"more": 1})
        logging.getLogger("httpx").info("a request")
    """)
    assert (first["event"], first["bot"], first["level"]) == ("bot_launched", "7", "info")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["more"], second["logger"]) == ("something odd", 1, "theirs")


def test_an_exception_tells_where_and_no_secret() -> None:
    (line,) = lines("""
        import structlog
        from sitin.kit.logging import configure
        configure(as_json=True)
        def connect():
            hidden = "hidden local"
            raise ValueError("cannot reach postgresql://sitin:hunter2@db/sitin")
        try:
            connect()
        except ValueError:
            structlog.get_logger().exception("failed")
    """)
    text = json.dumps(line)
    assert "cannot reach" in text
    assert '"connect"' in text
    assert "hunter2" not in text
    assert "hidden local" not in text


def test_a_person_gets_lines_without_secrets_too() -> None:
    result = run("""
        import structlog
        from sitin.kit.logging import configure
        configure(as_json=False)
        try:
            raise ValueError("Bearer abcdefgh12345678")
        except ValueError:
            structlog.get_logger().exception("failed", client_secret="hunter2")
    """)
    assert result.stdout == ""
    assert "ValueError" in result.stderr
    assert "hunter2" not in result.stderr
    assert "abcdefgh12345678" not in result.stderr


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        ({"api_key": "abc", "bot": "7"}, {"api_key": "***", "bot": "7"}),
        ({"headers": {"x-mb-secret": "abc", "n": 1}}, {"headers": {"x-mb-secret": "***", "n": 1}}),
        ({"tokens_available": 5}, {"tokens_available": 5}),
        ({"sent": [{"refresh_token": "abc"}]}, {"sent": [{"refresh_token": "***"}]}),
        ({"m": "key sitin_" + "a" * 43}, {"m": "key sitin_***"}),
        ({"m": "whsec_" + "a" * 32 + " x"}, {"m": "whsec_*** x"}),
        ({"m": "GET /a?x=1&signature=abc.d&y=2"}, {"m": "GET /a?x=1&signature=***&y=2"}),
        ({"m": "http://u:p@h/"}, {"m": "http://u:***@h/"}),
        ({"m": "http://host:8000/a@b"}, {"m": "http://host:8000/a@b"}),
    ],
)
def test_redaction(event: dict[str, Any], kept: dict[str, Any]) -> None:
    assert redact(None, "info", event) == kept
