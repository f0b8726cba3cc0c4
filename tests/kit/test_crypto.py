"""Secrets at rest, signatures that expire, API keys, and rotation of what they are made with."""

import itertools
import string
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.kit.crypto import (
    Keyring,
    SignatureError,
    SignatureExpiredError,
    hash_api_key,
    keys_of_data_dir,
    new_api_key,
    new_key,
)
from sitin.kit.errors import OperatorError

pytestmark = pytest.mark.unit

OLD, NEW = new_key(), new_key()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=4)


def test_a_secret_comes_back() -> None:
    keyring = Keyring([NEW])
    encrypted = keyring.encrypt("refresh token ä")
    assert "refresh" not in encrypted
    assert keyring.decrypt(encrypted) == "refresh token ä"
    assert keyring.encrypt("refresh token ä") != encrypted


def test_a_key_is_rotated_without_losing_a_secret() -> None:
    old = Keyring([OLD]).encrypt("secret")
    both = Keyring([NEW, OLD])
    assert both.decrypt(old) == "secret"
    renewed = both.renewed(old)
    assert renewed is not None
    assert Keyring([NEW]).decrypt(renewed) == "secret"
    assert both.renewed(renewed) is None
    with pytest.raises(OperatorError, match="append the one"):
        Keyring([NEW]).decrypt(old)


def test_a_signature_holds_until_its_time_and_no_longer() -> None:
    keyring = Keyring([NEW])
    signature = keyring.sign("download", "a/b", until=LATER)
    keyring.verify(signature, "download", "a/b", now=NOW)
    keyring.verify(signature, "download", "a/b", now=LATER - timedelta(seconds=1))
    with pytest.raises(SignatureExpiredError):
        keyring.verify(signature, "download", "a/b", now=LATER)


def test_a_signature_is_for_one_purpose_and_one_subject() -> None:
    keyring = Keyring([NEW])
    signature = keyring.sign("download", "a/b", until=LATER)
    for purpose, subject in [("upload", "a/b"), ("download", "a/c"), ("downloada", "/b")]:
        with pytest.raises(SignatureError):
            keyring.verify(signature, purpose, subject, now=NOW)


def test_the_time_cannot_be_moved() -> None:
    keyring = Keyring([NEW])
    expires, _, rest = keyring.sign("download", "a", until=LATER).partition(".")
    with pytest.raises(SignatureError):
        keyring.verify(f"{int(expires) + 1}.{rest}", "download", "a", now=NOW)


def test_no_character_of_a_signature_can_be_changed() -> None:
    keyring = Keyring([NEW])
    signature = keyring.sign("download", "a", until=LATER)
    for place, character in itertools.product(range(len(signature)), "Az9_-."):
        if signature[place] == character:
            continue
        changed = signature[:place] + character + signature[place + 1 :]
        with pytest.raises(SignatureError):
            keyring.verify(changed, "download", "a", now=NOW)


@given(st.text(string.printable + "ä€²١", max_size=80))
def test_rubbish_is_no_signature(rubbish: str) -> None:
    with pytest.raises(SignatureError):
        Keyring([NEW]).verify(rubbish, "download", "a", now=NOW)


def test_a_signature_of_an_older_key_is_right_while_the_key_is_there() -> None:
    signature = Keyring([OLD]).sign("download", "a", until=LATER)
    Keyring([NEW, OLD]).verify(signature, "download", "a", now=NOW)
    with pytest.raises(SignatureError):
        Keyring([NEW]).verify(signature, "download", "a", now=NOW)


@pytest.mark.parametrize("keys", [[], ["short"], [NEW, "short"]])
def test_weak_keys_are_refused(keys: list[str]) -> None:
    with pytest.raises(OperatorError, match="SITIN_SECRET_KEYS"):
        Keyring(keys)


def test_api_keys_are_long_and_stored_hashed() -> None:
    first, second = new_api_key(), new_api_key()
    assert first != second
    assert len(first) >= 43
    assert hash_api_key(first) == hash_api_key(first) != hash_api_key(second)
    assert first not in hash_api_key(first)


def test_a_data_directory_gets_one_key_whoever_asks_first(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(keys_of_data_dir, [data_dir] * 8))
    assert all(answer == answers[0] for answer in answers)
    assert (data_dir / "secret_keys").stat().st_mode & 0o777 == 0o600
    Keyring(answers[0])


def test_keys_that_others_may_read_are_not_used(tmp_path: Path) -> None:
    keys_of_data_dir(tmp_path)
    (tmp_path / "secret_keys").chmod(0o644)
    with pytest.raises(OperatorError, match="chmod 600"):
        keys_of_data_dir(tmp_path)
