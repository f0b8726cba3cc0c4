"""The embedded Postgres: starting, joining, leaving, and what is left when things are killed."""

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

import asyncpg
import psutil
import pytest

from sitin.kit import postgres_home
from sitin.kit.errors import OperatorError
from sitin.kit.postgres import RESTARTS, EmbeddedPostgres
from sitin.kit.postgres_home import ACCOUNTS, MAJOR_VERSION, Home, open_home
from tests.disk import small_disk
from tests.reachable import shelter_of
from tests.waiting import until

pytestmark = pytest.mark.db

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

USER_OF_THE_SERVER = """
import sys
from pathlib import Path
from sitin.kit.errors import OperatorError
from sitin.kit.postgres import EmbeddedPostgres

postgres = EmbeddedPostgres(Path(sys.argv[1]), shelter=Path(sys.argv[2]))
try:
    print(postgres.start(), flush=True)
except OperatorError as error:
    sys.exit(error.message)
sys.stdin.readline()
postgres.stop()
"""


class OtherProcess:
    """Another process that uses the server of a data directory."""

    def __init__(self, data_dir: Path, *, user: str | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", USER_OF_THE_SERVER, str(data_dir), str(shelter_of(data_dir))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd="/",
        )

    def url(self) -> str:
        line = self._pipe(self._process.stdout).readline().strip()
        assert line, self._pipe(self._process.stderr).read()
        return line

    def leave(self) -> None:
        self._process.communicate("\n")
        assert self._process.returncode == 0

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def complaint(self) -> str:
        out, err = self._process.communicate("\n")
        assert self._process.returncode == 1, (out, err)
        return err.strip()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@pytest.fixture
def data_dir(reachable_path: Path) -> Path:
    return reachable_path / "data"


@pytest.fixture
def postgres(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data_dir, shelter=shelter_of(data_dir))
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def home_of(data_dir: Path) -> Home:
    return open_home(data_dir, shelter=shelter_of(data_dir))


def server_processes(data_dir: Path) -> list[psutil.Process]:
    """The postmaster first, then its children."""
    home = home_of(data_dir)
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or [""]
        if str(home.cluster) in command:
            found.insert(0, process)
        elif command[0].startswith(f"postgres: {home.name}: "):
            found.append(process)
    return found


async def test_serves_with_everything_on_that_keeps_data(postgres: EmbeddedPostgres) -> None:
    async with connected(postgres.start()) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert await connection.fetchval(f"SHOW {setting}") == "on"
        assert await connection.fetchval("SHOW listen_addresses") == ""


async def test_notifications_arrive(postgres: EmbeddedPostgres) -> None:
    url = postgres.start()
    heard: asyncio.Queue[object] = asyncio.Queue()
    async with connected(url) as listener, connected(url) as speaker:
        await listener.add_listener("news", lambda *message: heard.put_nowait(message[-1]))
        await speaker.execute("NOTIFY news, 'hello'")
        async with asyncio.timeout(10):
            assert await heard.get() == "hello"


async def test_a_wrong_password_is_refused(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.start(), password="guess")


async def test_the_password_is_kept_and_readable_by_its_owner_only(
    postgres: EmbeddedPostgres, data_dir: Path
) -> None:
    url = postgres.start()
    assert (home_of(data_dir).path / "password").stat().st_mode & 0o777 == 0o600
    postgres.stop()
    assert postgres.start() == url


async def test_others_join_and_the_last_one_stops_it(data_dir: Path) -> None:
    first, second = OtherProcess(data_dir), OtherProcess(data_dir)
    assert first.url() == second.url()
    assert len({process.pid for process in server_processes(data_dir)[:1]}) == 1
    first.leave()
    assert server_processes(data_dir)
    second.leave()
    assert not server_processes(data_dir)


async def test_a_killed_user_counts_as_gone(data_dir: Path, postgres: EmbeddedPostgres) -> None:
    other = OtherProcess(data_dir)
    other.url()
    other.kill()
    assert server_processes(data_dir)
    postgres.start()
    postgres.stop()
    assert not server_processes(data_dir)


async def test_starts_again_after_the_postmaster_was_killed(
    data_dir: Path, postgres: EmbeddedPostgres
) -> None:
    async with connected(postgres.start()) as connection:
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
        # A backend in the midst of a statement outlives its postmaster.
        statement = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
        await until(lambda: any("SELECT" in title(p) for p in server_processes(data_dir)))
        postmaster = server_processes(data_dir)[0]
        postmaster.kill()
        await until(lambda: not alive(postmaster))
        postgres.stop()
        async with connected(postgres.start()) as again:
            assert await again.fetchval("SELECT value FROM kept") == 42
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await statement


async def test_starts_again_after_everything_was_killed(
    data_dir: Path, postgres: EmbeddedPostgres
) -> None:
    other = OtherProcess(data_dir)
    async with connected(other.url()) as connection:
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    processes = server_processes(data_dir)
    other.kill()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    async with connected(postgres.start()) as again:
        assert await again.fetchval("SELECT value FROM kept") == 42


async def test_a_stale_pid_file_may_name_a_stranger(
    data_dir: Path, postgres: EmbeddedPostgres
) -> None:
    postgres.start()
    home = home_of(data_dir)
    pid_file = home.cluster / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    postgres.stop()
    # A process of the same user, which Postgres itself would take for a running server.
    owner = home.cluster.stat().st_uid
    stranger = await asyncio.create_subprocess_exec(
        "sleep", "600", user=owner if os.geteuid() == 0 else None
    )
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        os.chown(pid_file, owner, -1)
        async with connected(postgres.start()) as connection:
            assert await connection.fetchval("SELECT 1") == 1
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


async def test_a_server_of_another_container_is_joined(
    data_dir: Path, postgres: EmbeddedPostgres
) -> None:
    other = OtherProcess(data_dir)
    other.url()
    pid_file = home_of(data_dir).cluster / "postmaster.pid"
    content = pid_file.read_text()
    # There, this number is a process; here, it is none.
    pid_file.write_text("\n".join(["4194303", *content.splitlines()[1:]]))
    async with connected(postgres.start()) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    assert pid_file.read_text().startswith("4194303")
    pid_file.write_text(content)
    postgres.stop()
    assert server_processes(data_dir)
    other.leave()


async def test_a_server_that_dies_is_started_again(
    data_dir: Path, postgres: EmbeddedPostgres
) -> None:
    url = postgres.start()
    before = RESTARTS._value.get()
    watch = asyncio.create_task(postgres.keep_running())
    try:
        server_processes(data_dir)[0].kill()
        await until(lambda: RESTARTS._value.get() > before)
        async with connected(url) as connection:
            assert await connection.fetchval("SELECT 1") == 1
    finally:
        watch.cancel()


def test_destroy_leaves_nothing_and_spares_a_server_in_use(
    data_dir: Path, postgres: EmbeddedPostgres
) -> None:
    other = OtherProcess(data_dir)
    other.url()
    home = home_of(data_dir)
    with pytest.raises(OperatorError, match="in use"):
        postgres.destroy()
    other.leave()
    postgres.destroy()
    assert not home.path.exists()
    assert not (data_dir / "postgres").is_symlink()


@only_root
def test_root_hands_the_server_to_an_account_and_widens_nothing(reachable_path: Path) -> None:
    closed = reachable_path / "closed"
    closed.mkdir(mode=0o700)
    data_dir = closed / "data"
    postgres = EmbeddedPostgres(data_dir, shelter=shelter_of(data_dir))
    postgres.start()
    try:
        home = home_of(data_dir)
        owner = pwd.getpwuid(home.cluster.stat().st_uid).pw_name
        assert owner in ACCOUNTS
        assert closed.stat().st_mode & 0o777 == 0o700
        assert data_dir.stat().st_mode & 0o777 == 0o700
        assert home.path.stat().st_mode & 0o777 == 0o710
        assert home.path.stat().st_uid == 0
        # The account may not change the programs it runs.
        assert (home.binaries / "postgres").stat().st_uid == 0
        assert (home.binaries / "postgres").stat().st_mode & 0o022 == 0
    finally:
        postgres.stop()


@only_root
def test_an_ordinary_user_runs_it_in_the_data_directory(reachable_path: Path) -> None:
    home = reachable_path / "games"
    home.mkdir()
    os.chown(home, pwd.getpwnam("games").pw_uid, -1)
    data_dir = home / "data"
    other = OtherProcess(data_dir, user="games")
    other.url()
    cluster = data_dir / "postgres" / "cluster"
    assert not (data_dir / "postgres").is_symlink()
    assert cluster.owner() == "games"
    # Root joins the user's server instead of starting another one.
    ours = EmbeddedPostgres(data_dir, shelter=shelter_of(data_dir))
    ours.start()
    assert len([p for p in server_processes(data_dir) if str(cluster) in p.cmdline()]) == 1
    other.leave()
    assert server_processes(data_dir)
    ours.stop()
    # What root made there does not lock the user out.
    again = OtherProcess(data_dir, user="games")
    again.url()
    again.leave()
    assert not server_processes(data_dir)


@only_root
def test_a_directory_of_somebody_else_gets_one_sentence(reachable_path: Path) -> None:
    data_dir = reachable_path / "data"
    data_dir.mkdir(mode=0o700)
    complaint = OtherProcess(data_dir, user="games").complaint()
    assert complaint.endswith("or set SITIN_DATA_DIR to a directory of your own.")
    assert "\n" not in complaint


@only_root
def test_a_full_disk_gets_one_sentence_and_leaves_nothing(
    reachable_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # There seems to be enough, and then somebody else takes it.
    monkeypatch.setattr(postgres_home, "_FIRST_START", 0)
    with small_disk(reachable_path / "small", "40m") as small:
        # The programs fit, the cluster does not.
        with pytest.raises(OperatorError, match=r"no space left .* free some"):
            EmbeddedPostgres(small / "data", shelter=small / "shelter").start()
        assert not (small / "data" / "postgres").is_symlink()
        assert not list((small / "shelter").glob("postgres-*"))


@pytest.mark.parametrize(
    ("version", "advice"),
    [(MAJOR_VERSION + 1, "run the newer sitin"), (MAJOR_VERSION - 1, "dump it with the sitin")],
)
def test_a_cluster_of_another_version_is_not_touched(
    data_dir: Path, postgres: EmbeddedPostgres, version: int, advice: str
) -> None:
    postgres.start()
    postgres.stop()
    (home_of(data_dir).cluster / "PG_VERSION").write_text(f"{version}\n")
    with pytest.raises(OperatorError, match=advice):
        postgres.start()
    (data_dir / "postgres" / "cluster" / "PG_VERSION").write_text(f"{MAJOR_VERSION}\n")


def test_a_server_that_cannot_start_says_why(data_dir: Path, postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.stop()
    (home_of(data_dir).cluster / "global" / "pg_control").unlink()
    with pytest.raises(OperatorError, match=r"did not start .*could not .*pg_control"):
        postgres.start()


@only_root
def test_a_data_directory_whose_database_is_gone_does_not_begin_anew(
    data_dir: Path, postgres: EmbeddedPostgres
) -> None:
    postgres.start()
    postgres.stop()
    path = home_of(data_dir).path
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(OperatorError, match="is missing at"):
        postgres.start()
    path.with_name("elsewhere").rename(path)
    postgres.destroy()


@only_root
def test_a_first_start_that_was_killed_leaves_no_rubbish(
    data_dir: Path, postgres: EmbeddedPostgres
) -> None:
    unfinished = shelter_of(data_dir) / "postgres-unfinished"
    unfinished.mkdir(parents=True, exist_ok=True)
    (unfinished / "data_dir").write_text(str(data_dir))
    left_behind = shutil.copytree(unfinished, shelter_of(data_dir) / "postgres-left-behind")
    (left_behind / "password").write_text("it was whole")
    postgres.start()
    assert not unfinished.exists()
    assert left_behind.exists()


def test_a_path_too_long_for_a_socket_gets_one_sentence(reachable_path: Path) -> None:
    long = reachable_path / ("x" * 90)
    with pytest.raises(OperatorError, match="shorter one"):
        EmbeddedPostgres(long / "data", shelter=long / "shelter").start()
    assert not (long / "data" / "postgres").exists()


def title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False
