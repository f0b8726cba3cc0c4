"""The embedded Postgres: a server of the data directory's own, shared by all its processes.

Used by the command line when no ``SITIN_DATABASE_URL`` is set, and by the tests. The first process
that wants the server starts it, further ones join, the last to leave stops it; who was killed has
left. The server listens on a Unix socket that only its owner and root can reach: neither another
user nor a page in a bot's browser can knock at it.
"""

import asyncio
import contextlib
import shlex
import shutil
import signal
import socket
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psutil
import structlog
from prometheus_client import Counter

from sitin.kit.errors import OperatorError, operator_error
from sitin.kit.locks import FileLock
from sitin.kit.postgres_home import (
    SHELTER,
    SOCKET_NAME,
    SUPERUSER,
    Home,
    explain,
    open_home,
)

# For a machine whose memory and cores belong to browsers, and a database of megabytes that sits in
# the page cache anyway: small buffers, no helper processes for parallel queries, asynchronous reads
# or replication. Everything that keeps data safe stays on.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "64MB",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "timezone": "UTC",
    # Not 'error': a failed statement is the caller's to log, and its text may hold secrets.
    "log_min_messages": "log",
    "log_checkpoints": "off",
}

_START_SECONDS = 120  # recovery after a crash replays at most max_wal_size
_STOP_SECONDS = 60
_WATCH_SECONDS = 1.0
_ORPHAN_SECONDS = 10

RESTARTS = Counter(
    "sitin_database_restarts_total", "How often the embedded Postgres died and was started again."
)

log = structlog.get_logger(__name__)


class EmbeddedPostgres:
    """This process' use of the embedded server; as a context manager it gives the URL.

    Args:
        data_dir: The data directory; it is made when it is not there.
        shelter: Where root's clusters live.
    """

    def __init__(self, data_dir: Path, *, shelter: Path = SHELTER) -> None:
        self._data_dir = data_dir
        self._shelter = shelter
        self._home: Home | None = None
        self._use: FileLock | None = None

    def start(self) -> str:
        """Start the server, or join the one that runs; returns its ``postgresql://`` URL.

        Blocks for about 0.2 s, at the very first start of a data directory for about a second.
        Raises ``OperatorError``.
        """
        assert self._use is None
        home = open_home(self._data_dir, shelter=self._shelter)
        self._home = home
        try:
            with self._turn(home):
                use = FileLock(home.path / "users.lock")
                use.acquire(shared=True)
                try:
                    _ensure_running(home)
                except BaseException:
                    use.release()
                    raise
                self._use = use
        except OSError as error:
            raise operator_error(error, home.path) from error
        return (
            f"postgresql://{SUPERUSER}:{quote(home.password)}@/postgres"
            f"?host={quote(str(home.run), safe='')}"
        )

    def stop(self) -> None:
        """Leave the server; the last process to leave stops it. Leaving twice is no error."""
        if self._home is None or self._use is None:
            return
        with self._turn(self._home):
            if self._use.try_exclusive():
                _stop(self._home)
            self._use.release()
            self._use = None

    async def keep_running(self) -> None:
        """Start the server again whenever it dies; runs until cancelled, between start and stop."""
        home = self._home
        assert home is not None
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if _runs(home):
                continue
            try:
                await asyncio.to_thread(self._restart, home)
            except OperatorError as error:
                log.error("database_restart_failed", reason=error.message)  # noqa: TRY400
            else:
                RESTARTS.inc()
                log.warning("database_restarted")

    def destroy(self) -> None:
        """Stop the server and delete the cluster. For data directories that are thrown away.

        Raises ``OperatorError`` while another process uses it.
        """
        home = open_home(self._data_dir, shelter=self._shelter)
        with self._turn(home):
            if self._use is not None:
                self._use.release()
                self._use = None
            users = FileLock(home.path / "users.lock")
            try:
                if not users.try_exclusive():
                    raise OperatorError(f"The database in {home.path} is in use: stop sitin first.")
                _stop(home)
                link = self._data_dir / "postgres"
                if link.is_symlink():
                    link.unlink()
                shutil.rmtree(home.path)
            finally:
                users.release()

    def _restart(self, home: Home) -> None:
        with self._turn(home):
            if self._use is not None:
                _ensure_running(home)

    def _turn(self, home: Home) -> FileLock:
        """One process at a time starts or stops the server."""
        return FileLock(home.path / "turn.lock")

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _ensure_running(home: Home) -> None:
    if _runs(home):
        return
    _clear_remains(home)
    with contextlib.suppress(FileNotFoundError):
        home.log.replace(home.log.with_suffix(".log.1"))
    settings = SETTINGS | {"unix_socket_directories": str(home.run), "cluster_name": home.name}
    result = home.execute(
        "pg_ctl",
        "start",
        "--silent",
        "--wait",
        f"--timeout={_START_SECONDS}",
        f"--pgdata={home.cluster}",
        f"--log={home.log}",
        "--options",
        shlex.join(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
    )
    if result.returncode:
        said = home.log.read_text(errors="replace") if home.log.exists() else ""
        raise explain(f"{result.stdout}\n{said}", home)


def _stop(home: Home) -> None:
    if _postmaster(home) is None:
        return
    for mode in ("fast", "immediate"):
        result = home.execute(
            "pg_ctl",
            "stop",
            "--silent",
            "--wait",
            f"--timeout={_STOP_SECONDS}",
            f"--pgdata={home.cluster}",
            f"--mode={mode}",
        )
        if result.returncode == 0:
            return
        log.warning("database_stop_failed", mode=mode, output=result.stdout.strip())


def _postmaster(home: Home) -> psutil.Process | None:
    """The server's first process, if it lives."""
    try:
        lines = (home.cluster / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        command = process.cmdline()
        started = process.create_time()
    except (FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
        return None
    if not command or Path(command[0]).name != "postgres":
        return None
    if str(home.cluster) in command:
        return process
    # The number may have gone to another cluster's server since; the time of its start tells.
    if len(lines) > 2 and abs(started - int(lines[2])) < 2:
        raise OperatorError(
            f"A server of the database in {home.path} still runs from another path (process "
            f"{process.pid}): stop it with kill -INT {process.pid} and try again."
        )
    return None


def _runs(home: Home) -> bool:
    if _postmaster(home) is not None:
        return True
    # Another container's server on the same volume is no process that could be seen from here.
    with socket.socket(socket.AF_UNIX) as knock:
        try:
            knock.connect(str(home.run / SOCKET_NAME))
        except OSError:
            return False
    return True


def _clear_remains(home: Home) -> None:
    """Remove what a killed server has left, so that the next one starts.

    Its backends live on for a moment, or longer in a long statement; they are told to quit without
    touching anything. Its lock files name a process that may be somebody else's by now, or a zombie
    where the first process of a container reaps nobody; Postgres would take both for a server.
    """
    locks = [home.cluster / "postmaster.pid", home.run / f"{SOCKET_NAME}.lock"]
    if not any(lock.exists() for lock in locks):
        return
    title = f"postgres: {home.name}: "
    orphans = [
        process
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [""])[0].startswith(title)
    ]
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for orphan in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.send_signal(number)
        deadline = time.monotonic() + _ORPHAN_SECONDS
        while (orphans := [p for p in orphans if _lives(p)]) and time.monotonic() < deadline:
            time.sleep(0.01)
    for lock in locks:
        lock.unlink(missing_ok=True)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
