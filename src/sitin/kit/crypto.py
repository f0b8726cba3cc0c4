"""Keys and what is done with them: secrets at rest, signatures that expire, API keys.

Every secret and signature is made with the newest key and read with any, so that a key is rotated
by putting a new one in front and removing the old one when nothing made with it is needed.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sitin.kit.errors import OperatorError, operator_error
from sitin.kit.files import write_private
from sitin.kit.locks import FileLock

SHORTEST_KEY = 32  # characters; what ``new_key`` makes has 43, which are 256 bits


class SignatureError(Exception):
    """A signature is missing, wrong, or not made for this."""


class SignatureExpiredError(SignatureError):
    """A signature was right and its time is over."""


class Keyring:
    """The install's secret keys, newest first.

    Raises ``OperatorError`` when there is none, or when one is so short that it can be guessed.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise OperatorError(
                "There is no secret key: set SITIN_SECRET_KEYS to one of at least "
                f"{SHORTEST_KEY} random characters."
            )
        if any(len(key) < SHORTEST_KEY for key in keys):
            raise OperatorError(
                f"A key in SITIN_SECRET_KEYS is shorter than {SHORTEST_KEY} characters: use random "
                "ones, for example from 'openssl rand -base64 32'."
            )
        # A key of its own for each use, so that what one use gives away helps with no other.
        fernets = [Fernet(base64.urlsafe_b64encode(_derive(key, "encrypt"))) for key in keys]
        self._newest, self._fernet = fernets[0], MultiFernet(fernets)
        self._signing = [_derive(key, "sign") for key in keys]

    def encrypt(self, secret: str) -> str:
        """Make a secret fit for the database."""
        return self._fernet.encrypt(secret.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        """Read what ``encrypt`` made. Raises ``OperatorError`` when its key is gone."""
        try:
            return self._fernet.decrypt(encrypted).decode()
        except InvalidToken:
            raise OperatorError(
                "A stored secret cannot be read with the secret keys here: append the one that it "
                "was stored with to SITIN_SECRET_KEYS or, where that is not set, to secret_keys."
            ) from None

    def renewed(self, encrypted: str) -> str | None:
        """The same encrypted with the newest key; ``None`` when it is. Raises like ``decrypt``."""
        try:
            self._newest.decrypt(encrypted)
        except InvalidToken:
            return self.encrypt(self.decrypt(encrypted))
        return None

    def sign(self, purpose: str, subject: str, *, until: datetime) -> str:
        """A signature for an address: proves until then that we named this subject.

        Args:
            purpose: Keeps signatures for different uses apart.
            subject: What is signed.
            until: End of its validity; counted in whole seconds.
        """
        expires = int(until.timestamp())
        return f"{expires}.{_signature(self._signing[0], purpose, subject, expires)}"

    def verify(self, signature: str, purpose: str, subject: str, *, now: datetime) -> None:
        """Raise ``SignatureError``, or ``SignatureExpiredError`` for a right one that is late.

        Takes the same time wherever the first wrong character stands.
        """
        expires_text, _, given = signature.partition(".")
        if not (expires_text.isascii() and expires_text.isdigit() and len(expires_text) <= 12):
            raise SignatureError
        expires = int(expires_text)
        matches = [
            hmac.compare_digest(_signature(key, purpose, subject, expires).encode(), given.encode())
            for key in self._signing
        ]
        if not any(matches):
            raise SignatureError
        if now.astimezone(UTC).timestamp() >= expires:
            raise SignatureExpiredError


def new_key() -> str:
    """A secret key of 256 random bits."""
    return secrets.token_urlsafe(32)


def keys_of_data_dir(data_dir: Path) -> list[str]:
    """The keys in ``<data dir>/secret_keys``, one a line; made when it is not there.

    Raises ``OperatorError`` when others may read the file, or it cannot be used.
    """
    path = data_dir / "secret_keys"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(data_dir / "secret_keys.lock"):
            if not path.exists():
                write_private(path, f"{new_key()}\n")
        if path.stat().st_mode & 0o077:
            raise OperatorError(f"Others may read the secret keys: run chmod 600 {path}.")
        return path.read_text().split()
    except OSError as error:
        raise operator_error(error, path) from error


def new_api_key() -> str:
    """An API key of 256 random bits; shown once, stored as ``hash_api_key`` of it."""
    return f"sitin_{secrets.token_urlsafe(32)}"


def hash_api_key(key: str) -> str:
    """What is stored of an API key and looked up: SHA-256 in hexadecimal.

    A slow hash protects what people choose, because few guesses suffice for that. A key of 256
    random bits cannot be guessed at any speed, and it is checked with every request.
    """
    return hashlib.sha256(key.encode()).hexdigest()


def _derive(key: str, use: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=f"sitin {use}".encode()).derive(key.encode())


def _signature(key: bytes, purpose: str, subject: str, expires: int) -> str:
    # JSON keeps the parts apart: ("ab", "c") and ("a", "bc") are different texts.
    message = json.dumps([purpose, subject, expires]).encode()
    return base64.urlsafe_b64encode(hmac.digest(key, message, "sha256")).rstrip(b"=").decode()
