"""Files that must be whole or absent, whatever happens in between. Used everywhere."""

import os
import secrets
import stat
from pathlib import Path, PurePosixPath


class UntrustedPathError(ValueError):
    """A path from an untrusted process leads out of its directory, or to no regular file."""


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file that only its owner may read (0600), replacing it whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_beneath(directory: Path, relative: str) -> Path:
    """The regular file that a relative path names, without following a symbolic link on the way.

    For a directory whose untrusted writer has ended. Raises ``UntrustedPathError`` and
    ``FileNotFoundError``.
    """
    parts = PurePosixPath(relative).parts
    path = directory
    for number, part in enumerate(parts, start=1):
        path = path / part
        mode = path.lstat().st_mode
        right = stat.S_ISREG(mode) if number == len(parts) else stat.S_ISDIR(mode)
        if part in ("/", "..") or not right:
            raise UntrustedPathError(f"{relative!r} is no file in {directory}")
    if not parts:
        raise UntrustedPathError("an empty path is no file")
    return path
