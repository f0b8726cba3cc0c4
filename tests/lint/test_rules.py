"""The package keeps the house's rules, and each rule catches who breaks it."""

from pathlib import Path

import pytest

from tests.lint.rules import COMMITTER, LONG_FILES, MOST_LINES, check, source_files

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


def offences(source: str, path: str = "src/sitin/bots/service.py") -> list[str]:
    return [str(offence) for offence in check(path, f'"""Docs."""\n{source}')]


def test_the_package_keeps_every_rule() -> None:
    found = [str(offence) for path, source in source_files(ROOT) for offence in check(path, source)]
    assert found == []


def test_the_rules_see_the_whole_package() -> None:
    assert "src/sitin/kit/database.py" in dict(source_files(ROOT))


def test_every_named_long_file_is_there_and_still_long() -> None:
    sources = dict(source_files(ROOT))
    for path, reason in LONG_FILES.items():
        assert len(sources[path].splitlines()) > MOST_LINES, f"{path} needs no exception any more"
        assert reason


@pytest.mark.parametrize("source", ["session.commit()", "await self.session.commit()"])
def test_a_commit_is_caught(source: str) -> None:
    function = f"async def save():\n    {source}"
    assert offences(function) == [
        "src/sitin/bots/service.py:3: only kit/database.py ends a transaction"
    ]
    assert offences(function, COMMITTER) == []


@pytest.mark.parametrize(
    "clause",
    ["except:", "except Exception:", "except BaseException as e:", "except (OSError, Exception):"],
)
def test_a_broad_except_is_caught(clause: str) -> None:
    (offence,) = offences(f"try:\n    run()\n{clause}\n    log()")
    assert offence.startswith("src/sitin/bots/service.py:4: catch what you expect")
    for mark in ("  # edge: the worker outlives its jobs", "\n    # The edge of a bot."):
        assert offences(f"try:\n    run()\n{clause}{mark}\n    log()") == []
    assert offences(f"try:\n    run()\n{clause}\n    log('edge')") != []
    assert offences(f"try:\n    run()\n{clause}\n    undo()\n    raise") == []


def test_a_narrow_except_is_fine() -> None:
    assert offences("try:\n    run()\nexcept (OSError, ValueError):\n    log()") == []


def test_a_long_file_is_caught() -> None:
    (offence,) = offences("x = 1\n" * MOST_LINES)
    assert "split it by meaning" in offence
    assert offences("x = 1\n" * (MOST_LINES - 1)) == []


def test_a_module_that_does_not_introduce_itself_is_caught() -> None:
    (offence,) = check("src/sitin/bots/service.py", "x = 1")
    assert "says what lives here" in str(offence)
    assert list(check("src/sitin/contract/page_pb2.py", "x = 1")) == []
