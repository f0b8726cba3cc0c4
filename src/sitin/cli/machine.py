"""What this machine keeps in its data directory besides database and keys. Used by ``wiring``."""

import os
import secrets
from pathlib import Path
from uuid import UUID

from sitin.kit.errors import OperatorError, operator_error
from sitin.kit.files import sync_directory, write_private
from sitin.kit.ids import new_id
from sitin.kit.locks import FileLock
from sitin.kit.postgres_home import SHELTER


def host_id(data_dir: Path) -> UUID:
    """This machine's id, for leases: made once and kept beside the recordings it vouches for.

    Raises ``OperatorError``.
    """
    path = data_dir / "host_id"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(data_dir / "host_id.lock"):
            if not path.exists():
                write_private(path, f"{new_id()}\n")
        return UUID(path.read_text().strip())
    except OSError as error:
        raise operator_error(error, path) from error
    except ValueError:
        raise OperatorError(f"{path} holds no host id: remove it.") from None


def recordings_place(data_dir: Path, *, shelter: Path = SHELTER) -> Path:
    """The disk that they write to, whether there has been a bot here or not."""
    place = data_dir / "recordings"
    if place.exists():
        return place.resolve()
    return shelter if os.geteuid() == 0 else data_dir


def recordings_directory(data_dir: Path, *, shelter: Path = SHELTER) -> Path:
    """Where the bots of this machine write while they record.

    Root's bots run as users of their own, which may not enter root's data directory; so theirs is
    beside root's database clusters, and ``<data dir>/recordings`` is a symbolic link there.
    Raises ``OperatorError``.
    """
    place = data_dir / "recordings"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(data_dir / "recordings.lock"):
            if place.is_symlink() and not place.exists():
                raise OperatorError(
                    f"The recordings of {data_dir} are missing at {place.readlink()}: bring that "
                    f"directory back, or remove {place} to give them up."
                )
            if not place.exists():
                _make(place, shelter)
        return place.resolve()
    except OSError as error:
        raise operator_error(error, place) from error


def _make(place: Path, shelter: Path) -> None:
    if os.geteuid() != 0:
        place.mkdir(mode=0o700)
        return
    shelter.mkdir(mode=0o755, parents=True, exist_ok=True)
    sheltered = shelter / f"recordings-{secrets.token_hex(4)}"
    sheltered.mkdir()
    # Entered by the bots' users, listed by nobody else; the mask of the process does not apply.
    sheltered.chmod(0o711)
    place.symlink_to(sheltered)
    sync_directory(place.parent)
