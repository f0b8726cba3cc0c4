"""A user of its own for every bot, nothing of the worker's environment, the code within reach."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sitin.kit.errors import OperatorError
from sitin.kit.ids import new_id
from sitin.runner import isolation
from sitin.runner.isolation import (
    FIRST_UID,
    LAST_UID,
    RUNNERS_GID,
    Identity,
    confined,
    identity_for,
)
from tests.runner.host import Host, last_word
from tests.waiting import until

pytestmark = pytest.mark.unit

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a process another user")


class TestIdentity:
    @as_root
    def test_it_is_the_bots_own_and_stays_the_same(self) -> None:
        ids = [new_id() for _ in range(200)]
        identities = [identity_for(one) for one in ids]
        assert all(one is not None and FIRST_UID <= one.uid <= LAST_UID for one in identities)
        assert identities == [identity_for(one) for one in ids]
        assert len(set(identities)) > 180

    def test_who_is_not_root_has_none_to_give(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert identity_for(new_id()) is None
        isolation.check()


async def told(host: Host) -> tuple[dict[str, str], dict[str, str]]:
    """The environment and the identity of a bot that tells them."""
    bot = await host.launch("tell environment")
    await until((bot.directory / "identity").exists)
    await bot.leave()
    environment = (bot.directory / "environment").read_text().splitlines()
    identity = (bot.directory / "identity").read_text().splitlines()
    await last_word(bot)
    return (
        dict(line.split("=", 1) for line in environment),
        {
            name.rstrip(":"): rest
            for name, _, rest in (one.partition(" ") for one in _flat(identity))
        },
    )


def _flat(lines: list[str]) -> list[str]:
    return [line.replace("\t", " ") for line in lines]


async def test_a_bot_is_told_nothing_of_the_workers_environment(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "SITIN_DATABASE_URL": "postgresql://secret",
        "SITIN_SECRET_KEYS": "secret",
        "SITIN_GLADIA_API_KEY": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "HTTPS_PROXY": "http://secret",
        "PYTHONPATH": "/secret",
        "LD_PRELOAD": "",
        "SSH_AUTH_SOCK": "/secret",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    environment, identity = await told(host)
    assert not set(secrets) & set(environment)
    assert "secret" not in str(environment)
    assert {name for name in environment if name.startswith("SITIN")} == {"SITIN_BOT_ID"}
    files = host.recordings / environment["SITIN_BOT_ID"] / "files"
    assert environment["HOME"] == environment["TMPDIR"] == str(files)
    assert int(identity["Session"]) != os.getsid(0), "no signal of the worker's terminal reaches it"


@as_root
async def test_a_bot_of_root_has_a_user_of_its_own_and_no_way_back(host: Host) -> None:
    environment, identity = await told(host)
    uids = set(identity["Uid"].split())
    assert len(uids) == 1
    uid = int(uids.pop())
    assert FIRST_UID <= uid <= LAST_UID
    # The effective group is the one that the firewall lets out; the browser is without it.
    assert identity["Gid"].split() == [str(uid), *[str(RUNNERS_GID)] * 3]
    assert identity["Groups"].split() == [str(uid)]
    assert identity["NoNewPrivs"] == "1"
    place = host.recordings / environment["SITIN_BOT_ID"]
    assert (place / "runner.log").stat().st_uid == 0
    assert (place / "supervisor.lock").stat().st_uid == 0


@as_root
class TestConfined:
    """What a command sees and may do as a bot's user."""

    def run(self, script: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = confined(["sh", "-c", script], Identity(FIRST_UID + 1))
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]

    def test_other_bots_files_and_the_workers_are_out_of_reach(self, reachable_path: Path) -> None:
        from sitin.runner.places import Place
        from tests.runner.host import order

        other = Place(reachable_path / "other")
        other.make(Identity(FIRST_UID + 2))
        other.write_spec(order("x"), Identity(FIRST_UID + 2))
        (other.files / "output.flac").write_bytes(b"voices")
        (reachable_path / "api_key").write_text("key")
        (reachable_path / "api_key").chmod(0o600)
        for attempt in (
            f"ls {other.root}",
            f"ls {other.files}",
            f"cat {other.files}/output.flac",
            f"cat {other.root}/spec.json",
            f"cat {reachable_path}/api_key",
            f"touch {other.root}/x",
            "cat /etc/shadow",
            "kill -0 1",
        ):
            result = self.run(attempt)
            assert result.returncode != 0, attempt
            assert result.stdout == "", attempt

    def test_the_code_is_within_reach_and_cannot_be_changed(self) -> None:
        result = self.run(f"cd / && {sys.executable} -I -c 'import sitin.runner; print(1)'")
        assert result.stdout == "1\n", result.stderr
        place = Path(isolation.__file__).parent
        assert self.run(f"touch {place}/x").returncode != 0
        assert not (place / "x").exists()

    def test_a_directory_that_stops_others_is_replaced_by_the_code_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A checkout below /root, say: the bot sees its code there and nothing beside it."""
        home = tmp_path / "home"
        code = home / "checkout" / "code"
        code.mkdir(parents=True)
        (code / "program").write_text("#!/bin/sh\necho works")
        (code / "program").chmod(0o755)
        (home / "key").write_text("secret")
        (home / "key").chmod(0o644)
        for stopping in (tmp_path, home):
            stopping.chmod(0o700)
        code_of_all = isolation._code()
        monkeypatch.setattr(isolation, "_code", lambda: [*code_of_all, code])
        result = self.run(f"{code}/program; ls -A {home}; cat {home}/key; touch {code}/x")
        assert result.stdout.splitlines() == ["works", "checkout"], result.stderr
        assert "secret" not in result.stdout
        # Outside nothing has changed.
        assert sorted(one.name for one in home.iterdir()) == ["checkout", "key"]
        assert home.stat().st_mode & 0o777 == 0o700


def test_who_is_root_has_to_let_bots_users_reach_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its permissions, or by a file tree of their own."""
    closed = tmp_path / "closed"
    (closed / "code").mkdir(parents=True)
    tmp_path.chmod(0o755)
    closed.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(isolation, "_code", lambda: [closed / "code"])
    monkeypatch.setattr(isolation, "private_tree_failure", lambda: "bubblewrap is not installed")
    with pytest.raises(OperatorError, match=r"may not enter .*bubblewrap is not installed"):
        isolation.check()
    monkeypatch.setattr(isolation, "private_tree_failure", lambda: None)
    isolation.check()


def test_no_two_bots_get_one_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    bot_id = new_id()
    taken: frozenset[int] = frozenset()
    for _ in range(5):
        identity = identity_for(bot_id, taken)
        assert identity is not None
        assert identity.uid not in taken
        taken |= {identity.uid}
    everybody = frozenset(range(FIRST_UID, LAST_UID + 1))
    with pytest.raises(OperatorError, match="Every user id"):
        identity_for(bot_id, everybody)


def test_a_machine_without_the_programs_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(OperatorError, match="setpriv of util-linux is missing; install it"):
        isolation.check()
