"""What code can do that runs where a bot's browser runs: as its user, below its confinement.

The bots are started by the real supervisor. In place of Playwright's driver they run a program that
tries what an intruder would (``stand_in.py``).
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from sqlalchemy.engine import make_url

from sitin.contract.spec import BrowserSpec
from sitin.runner import firewall, isolation, landlock, system_calls
from sitin.runner.bot_process import RESTORED
from sitin.runner.firewall import TABLE, Firewall
from sitin.runner.isolation import FIRST_UID, LAST_UID, RUNNERS_GID
from sitin.runner.media_addresses import parse_media_addresses
from sitin.runner.supervisor import Patience, SupervisedBot
from tests.runner.host import PATIENCE, Host, last_word
from tests.waiting import until

pytestmark = pytest.mark.unit

needs_tree = pytest.mark.skipif(
    isolation.private_tree_failure() is not None, reason="bubblewrap does not work here"
)
needs_firewall = pytest.mark.skipif(
    firewall.failure() is not None, reason="no nftables for this user here"
)
needs_landlock = pytest.mark.skipif(
    landlock.version() < landlock.FIRST_VERSION_WITH_SCOPES, reason="Landlock is older here"
)
needs_filter = pytest.mark.skipif(
    system_calls.available() is not None, reason="libseccomp is not installed"
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a process another user")

LOCAL = BrowserSpec(
    path="/no/browser",
    host_rules="MAP meet.google.com 127.0.0.1:9443",
    args=("--allow-loopback-in-peer-connection",),
)


async def intrude(host: Host, *attempts: str, browser: BrowserSpec | None = None) -> dict[str, str]:
    """What comes of attempts from where a bot's browser runs."""
    bot = await host.launch(" ".join(["intrude", *attempts]), browser=browser)
    await until((bot.directory / "found.json").exists)
    found: dict[str, str] = json.loads((bot.directory / "found.json").read_text())
    await bot.leave()
    await last_word(bot)
    await bot.discard()
    return found


@contextlib.contextmanager
def listening(address: tuple[str, int], kind: int = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    """A server of the machine's own, which everybody else reaches."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, kind) as server:
        server.bind(address)
        if kind == socket.SOCK_STREAM:
            server.listen()
        server.settimeout(0)
        yield server


def port_of(server: socket.socket) -> int:
    port: int = server.getsockname()[1]
    return port


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), listening(("::1", 0)):
        return True
    return False


def own_address() -> str | None:
    """An address of this machine on a network, if it is on one."""
    addresses = (one for found in psutil.net_if_addrs().values() for one in found)
    v4 = (one.address for one in addresses if one.family == socket.AF_INET)
    return next((one for one in v4 if not one.startswith("127.")), None)


class TestNetwork:
    @needs_landlock
    async def test_tcp_goes_to_the_runners_two_ports_and_nowhere_else(self, host: Host) -> None:
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(listening(("127.0.0.1", 0)))]
            targets = [f"tcp:127.0.0.1:{port_of(servers[0])}"]
            if has_ipv6():
                servers.append(stack.enter_context(listening(("::1", 0))))
                targets.append(f"tcp:[::1]:{port_of(servers[1])}")
            if (own := own_address()) is not None:
                servers.append(stack.enter_context(listening((own, 0))))
                targets.append(f"tcp:{own}:{port_of(servers[-1])}")
            outside = ["tcp:169.254.169.254:80", "tcp:10.0.0.1:5432", "tcp:1.1.1.1:443"]
            found = await intrude(host, *targets, *outside)
            own_ports = [one for one in found if one.startswith("tcp:") and one not in targets]
            own_ports = [one for one in own_ports if one not in outside]
            assert [found[one] for one in own_ports] == ["ok", "ok"], found
            assert {found[one] for one in [*targets, *outside]} == {"EACCES"}, found
            for server in servers:
                with pytest.raises(BlockingIOError):
                    server.accept()

    @needs_firewall
    async def test_udp_goes_to_public_addresses_alone(self, host: Host) -> None:
        with listening(("127.0.0.1", 0), socket.SOCK_DGRAM) as server:
            refused = [
                f"udp:127.0.0.1:{port_of(server)}",
                "udp:127.0.0.53:53",
                "udp:169.254.169.254:53",
                "udp:169.254.169.254:3478",
                "udp:10.0.0.1:3478",
                "udp:192.168.1.1:3478",
                "udp:224.0.0.251:5353",
                "udp:8.8.8.8:53",
                "udp:8.8.8.8:853",
                "udp:[::1]:3478",
                "udp:[fd00::1]:3478",
                "udp:[::ffff:10.0.0.1]:3478",
                "udp:[64:ff9b::a00:1]:3478",
            ]
            if (own := own_address()) is not None:
                refused.append(f"udp:{own}:3478")
            public = ["udp:142.250.82.1:3478", "udp:142.250.82.1:443", "udp:[2001:4860::1]:3478"]
            found = await intrude(host, *refused, *public)
            # Without a route to there, the kernel says so before the firewall is asked.
            expected = {"EPERM", "ENETUNREACH", "EADDRNOTAVAIL", "EHOSTUNREACH", "EINVAL"}
            assert all(found[one] in expected for one in refused), found
            assert found[refused[0]] == found["udp:127.0.0.53:53"] == "EPERM"
            if own is not None:
                assert {found[one] for one in refused if "[" not in one} == {"EPERM"}, found
            assert all(found[one] != "EPERM" for one in public), found
            with pytest.raises(BlockingIOError):
                server.recv(100)

    @needs_firewall
    async def test_a_meeting_on_this_machine_needs_a_setting_for_its_media(
        self, host: Host
    ) -> None:
        with (
            listening(("127.0.0.1", 0), socket.SOCK_DGRAM) as media,
            listening(("127.0.0.1", 0), socket.SOCK_DGRAM) as other,
        ):
            targets = [f"udp:127.0.0.1:{port_of(one)}" for one in (media, other)]
            targets += ["udp:127.0.0.2:20000", "udp:127.0.0.1:53"]
            by_rules = await intrude(host, *targets, browser=LOCAL)
            assert [by_rules[one] for one in targets] == ["ok", "ok", "EPERM", "EPERM"]
            assert media.recv(100) == other.recv(100) == b"knock"
            named = LOCAL.model_copy(update={"media_addresses": f"127.0.0.1:{port_of(media)}"})
            by_setting = await intrude(host, *targets, browser=named)
            assert [by_setting[one] for one in targets] == ["ok", "EPERM", "EPERM", "EPERM"]
            without = LOCAL.model_copy(update={"args": ()})
            by_neither = await intrude(host, *targets, browser=without)
            assert {by_neither[one] for one in targets} == {"EPERM"}

    @needs_firewall
    def test_the_firewall_holds_tcp_by_itself(self, host: Host) -> None:
        """Where the kernel has no Landlock: code that runs as the bot's user, and nothing more."""
        uid = LAST_UID
        identity = isolation.Identity(uid)
        with listening(("127.0.0.1", 0)) as api, listening(("127.0.0.1", 0)) as proxy:
            ports = [port_of(api), port_of(proxy)]
            asyncio.run(Firewall().admit(identity, ports=ports[1:], media=(), lifetime=60))
            try:
                script = (
                    "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
                )

                def connects(port: int, gid: int) -> bool:
                    command = [sys.executable, "-I", "-c", script, str(port)]
                    result = subprocess.run(
                        command, check=False, capture_output=True, user=uid, group=gid
                    )
                    return result.returncode == 0

                assert [connects(port, uid) for port in ports] == [False, True]
                assert [connects(port, RUNNERS_GID) for port in ports] == [True, True]
                assert [connects(port, 0) for port in ports] == [False, True]
            finally:
                asyncio.run(Firewall().remove(identity))
            assert connects(ports[0], uid), "after the bot's end the id is as any other"

    @needs_filter
    async def test_no_socket_leads_past_the_firewall(self, host: Host) -> None:
        sctp, mptcp, raw, vsock, packet, icmp = (
            f"socket:{one}" for one in ("2,1,132", "2,1,262", "2,3,1", "40,1,0", "17,3,0", "2,2,1")
        )
        audit, plain, datagram = "socket:16,3,9", "socket:2,1,0", "socket:10,2,17"
        found = await intrude(host, sctp, mptcp, raw, vsock, packet, icmp, audit, plain, datagram)
        refused = {found[one] for one in (sctp, mptcp, raw, vsock, packet, icmp, audit)}
        assert refused <= {"EPERM", "EAFNOSUPPORT"}, found
        assert found[plain] == found[datagram] == "ok"


@pytest.mark.db
class TestFilesAndSockets:
    @needs_tree
    async def test_the_database_cannot_be_reached(self, host: Host, postgres_url: str) -> None:
        directory = Path(str(make_url(postgres_url).query["host"]))
        socket_path = directory / ".s.PGSQL.5432"
        assert socket_path.is_socket()
        found = await intrude(host, f"unix:{socket_path}", f"read:{directory.parent}")
        assert found[f"unix:{socket_path}"] == found[f"read:{directory.parent}"] == "ENOENT"

    @needs_tree
    async def test_another_bots_files_and_socket_cannot_be_reached(self, host: Host) -> None:
        other = await host.launch("well")
        control = other.directory / "control.sock"
        await until(control.is_socket)
        attempts = [f"unix:{control}", f"read:{other.directory}", f"signal:{other.pid}"]
        attempts += [
            f"read:{other.directory.parent}/{name}" for name in ("spec.json", "runner.log")
        ]
        found = await intrude(host, *attempts)
        assert set(found.values()) & {found[one] for one in attempts} <= {"ENOENT", "EPERM"}, found
        await other.leave()
        await last_word(other)

    @needs_tree
    async def test_sockets_that_everybody_may_use_are_not_there(
        self, host: Host, tmp_path: Path
    ) -> None:
        with contextlib.ExitStack() as stack:
            paths = [Path(f"/run/sitin-test-{os.getpid()}.sock")] if os.geteuid() == 0 else []
            paths.append(Path(f"/tmp/sitin-test-{os.getpid()}.sock"))
            for path in paths:
                server = stack.enter_context(socket.socket(socket.AF_UNIX))
                server.bind(str(path))
                stack.callback(path.unlink)
                path.chmod(0o777)
                server.listen()
            found = await intrude(host, *(f"unix:{path}" for path in paths))
            assert {found[f"unix:{path}"] for path in paths} == {"ENOENT"}

    @needs_landlock
    async def test_abstract_sockets_of_others_cannot_be_reached(self, host: Host) -> None:
        name = f"sitin-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"\0{name}")
            server.listen()
            found = await intrude(host, f"unix:@{name}")
        assert found[f"unix:@{name}"] == "EPERM"

    @needs_landlock
    async def test_the_browser_changes_nothing_of_the_recording(self, host: Host) -> None:
        found = await intrude(host, "read:/etc/passwd", "write:/tmp/x")
        own = [one for one in found if one.endswith("/browser/x")]
        assert [found[one] for one in own] == ["ok"]
        assert {found[one] for one in found if one.endswith("/files/x")} == {"EACCES"}
        assert found["read:/etc/passwd"] == "ok"
        assert found["write:/tmp/x"] == "EACCES"


class TestIdentity:
    @as_root
    async def test_the_browser_has_no_way_to_the_runners_group(self, host: Host) -> None:
        found = await intrude(host)
        uid, *gids = map(int, found["ids"].split())
        assert FIRST_UID <= uid <= LAST_UID
        assert gids == [uid, uid, uid]

    @as_root
    async def test_bots_that_run_at_once_have_different_users(self, host: Host) -> None:
        number = LAST_UID - FIRST_UID + 1
        bots = [await host.launch("well", bot_id=UUID(int=7 + number * one)) for one in range(3)]
        uids = {bot.directory.stat().st_uid for bot in bots}
        assert len(uids) == 3
        for bot in bots:
            await bot.leave()
            await last_word(bot)


@needs_firewall
class TestEnd:
    async def test_nothing_is_left_of_a_bot_that_was_killed(self, host: Host) -> None:
        before = mounts()
        bot = await host.launch("well")
        uid = bot.directory.stat().st_uid
        assert str(uid) in table()
        os.kill(bot.pid, 9)
        await last_word(bot)
        await bot.discard()
        assert str(uid) not in table()
        assert mounts() == before
        assert uid not in isolation.uids_in_use()

    async def test_a_bot_stays_confined_when_its_worker_is_gone(self, host: Host) -> None:
        first = await host.launch("well")
        uid = first.directory.stat().st_uid
        await first.release()
        assert await Firewall().holds(isolation.Identity(uid))
        (adopted,) = await host.supervisor().adopt()
        assert isinstance(adopted, SupervisedBot)
        await adopted.leave()
        await last_word(adopted)
        await adopted.discard()
        assert not await Firewall().holds(isolation.Identity(uid))

    async def test_a_bot_that_somebody_took_out_of_the_firewall_is_put_back(
        self, host: Host
    ) -> None:
        """As loading ``/etc/nftables.conf`` does, which begins with ``flush ruleset``."""
        before = RESTORED._value.get()
        patience = Patience(**{**vars_of(PATIENCE), "firewall_every": 0.1})
        bot = await host.launch("well", patience=patience)
        identity = isolation.Identity(bot.directory.stat().st_uid)
        take_out(identity)
        await until(lambda: Firewall().holds(identity))
        await until(lambda: RESTORED._value.get() == before + 1)
        await bot.leave()
        await last_word(bot)
        await bot.discard()

    @pytest.mark.parametrize(
        "media",
        [
            "127.0.0.1",
            "127.0.0.1:5000",
            "10.0.0.0/8:5000-6000",
            "[fd00::1]:9,[fd00::/8],10.1.2.3:9",
        ],
    )
    async def test_whatever_a_bot_might_reach_is_removed(self, media: str) -> None:
        identity = isolation.Identity(LAST_UID - 2)
        addresses = parse_media_addresses(media)
        await Firewall().admit(identity, ports=[1, 2], media=addresses, lifetime=60)
        assert str(identity.uid) in table()
        await Firewall().remove(identity)
        assert str(identity.uid) not in table()

    async def test_a_machine_that_has_lost_the_table_gets_it_again(self) -> None:
        identity = isolation.Identity(LAST_UID - 1)
        await asyncio.gather(
            *(Firewall().admit(identity, ports=[1, 2], media=(), lifetime=1) for _ in range(3))
        )
        assert await Firewall().holds(identity)
        await Firewall().remove(identity)
        await Firewall().remove(identity)
        assert not await Firewall().holds(identity)


def take_out(identity: isolation.Identity) -> None:
    element = f"{{ {identity.uid} }}"
    subprocess.run(["nft", "delete", "element", "inet", TABLE, "bots", element], check=True)


def vars_of(patience: Patience) -> dict[str, float]:
    return {name: getattr(patience, name) for name in Patience.__slots__}


def mounts() -> str:
    return Path("/proc/mounts").read_text()


def table() -> str:
    result = subprocess.run(
        ["nft", "--numeric", "list", "table", "inet", TABLE],
        check=True,
        capture_output=True,
        text=True,
    )
    return result.stdout


@as_root
@needs_landlock
@needs_tree
def test_without_root_files_sockets_and_tcp_are_confined(
    reachable_path: Path, postgres_url: str
) -> None:
    """The same, started by an ordinary user: its own files and sockets are as far away."""
    program = reachable_path / "bot.py"
    program.write_text(Path(__file__).with_name("stand_in.py").read_text())
    home, place = reachable_path / "home", reachable_path / "place"
    for directory in (home, place, place / "files"):
        directory.mkdir()
        os.chown(directory, 1234, 1234)
    (home / "key").write_text("secret")
    os.chown(home / "key", 1234, 1234)
    with listening(("127.0.0.1", 0)) as api, socket.socket(socket.AF_UNIX) as own:
        own.bind(str(home / "own.sock"))
        own.listen()
        os.chown(home / "own.sock", 1234, 1234)
        attempts = [
            f"tcp:127.0.0.1:{port_of(api)}",
            f"unix:{home}/own.sock",
            f"read:{home}/key",
            f"unix:{make_url(postgres_url).query['host']}/.s.PGSQL.5432",
        ]
        result = subprocess.run(
            [sys.executable, "-I", "-c", _UNPRIVILEGED, str(place), str(program), *attempts],
            check=False,
            capture_output=True,
            text=True,
            user=1234,
            group=1234,
            extra_groups=(),
            cwd="/",
        )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert [found[one] for one in attempts] == ["EACCES", "ENOENT", "ENOENT", "ENOENT"]


_UNPRIVILEGED = """
import dataclasses, os, subprocess, sys
from pathlib import Path
from sitin.contract.spec import BrowserSpec
from sitin.runner import isolation
from sitin.runner.browser_surroundings import browser_surroundings
from sitin.runner.confinement import starting_confined

place, program, *attempts = sys.argv[1:]
source = Path(program).read_text()
if "--inside" not in attempts:
    own = (sys.executable, "-I", "-c", sys.orig_argv[3], place, program, *attempts, "--inside")
    tree = isolation.FileTree(own=Path(place), readable=(Path(program),))
    os.execvp(*(lambda line: (line[0], line))(isolation.confined(own, None, tree)))
attempts.remove("--inside")
with browser_surroundings(Path(place, "files"), sandboxed=True) as around:
    confinement = around.confinement(BrowserSpec(path="/no/browser"))
    with starting_confined(dataclasses.replace(confinement, node=sys.executable)):
        starter = os.environ["PLAYWRIGHT_NODEJS_PATH"]
        subprocess.run([starter, "-I", "-c", source, "--as-intruder", *attempts], check=True)
"""
