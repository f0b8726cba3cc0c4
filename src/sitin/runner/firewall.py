"""The packet filter around bots' browsers: one nftables table for the machine. For supervisors.

A bot's processes are known by their user, and its runner, which resolves names and connects for the
browser, by its effective group (``isolation.RUNNERS_GID``). Everything else that runs as the bot
may open TCP connections to its runner's two ports on loopback, and send UDP to public addresses and
to those that the operator has named. No name server is among them.

What belongs to one bot are elements of the table's sets. They carry an expiry beyond the longest
life of the bot, so that the kernel removes what nobody removes; the worker that sees the bot's end
removes them at once. The table stays, and holds nothing of a bot that is gone.
"""

import asyncio
import functools
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import structlog

from sitin.kit.addresses import public_networks
from sitin.runner.isolation import RUNNERS_GID, Identity
from sitin.runner.media_addresses import FIRST_PORT, LAST_PORT, MediaAddresses

log = structlog.get_logger()

_PREFIX = "sitin_"
_TIMEOUT = 10.0
"""Seconds for one call of ``nft``; a busy machine takes a tenth of one."""
_DAY = 86_400
_BOT_SETS = ("bots", "listeners", "media4", "media6")


class FirewallError(Exception):
    """The kernel, or this process's privileges, do not allow a packet filter; says why."""


def _rules() -> str:
    public = public_networks()
    ports = f"{{ 443, {FIRST_PORT}-{LAST_PORT} }}"
    return f"""
        set bots {{ typeof meta skuid; flags timeout; }}
        set listeners {{ typeof meta skuid . tcp dport; flags timeout; }}
        set media4 {{ typeof meta skuid . ip daddr . udp dport; flags interval, timeout; }}
        set media6 {{ typeof meta skuid . ip6 daddr . udp dport; flags interval, timeout; }}
        set not_public4 {{
            type ipv4_addr; flags interval; elements = {{ {_joined(public.not_v4)} }};
        }}
        set not_public6 {{
            type ipv6_addr; flags interval; elements = {{ {_joined(public.not_v6)} }};
        }}
        chain browser {{
            # No connection comes about without a SYN; the rest belongs to one that was allowed.
            meta l4proto tcp tcp flags & (fin | syn | rst | ack) != syn accept
            ip daddr 127.0.0.1 meta skuid . tcp dport @listeners accept
            meta l4proto tcp counter reject with tcp reset
            meta skuid . ip daddr . udp dport @media4 accept
            meta skuid . ip6 daddr . udp dport @media6 accept
            fib daddr type local counter drop
            ip daddr != @not_public4 udp dport {ports} accept
            ip6 daddr {{ {_joined(public.v6)} }} ip6 daddr != @not_public6 udp dport {ports} accept
            counter drop
        }}
        chain output {{
            type filter hook output priority filter; policy accept;
            meta skuid @bots meta skgid != {RUNNERS_GID} goto browser
        }}
    """


def _joined(networks: Sequence[IPv4Network | IPv6Network]) -> str:
    return ", ".join(str(network) for network in networks)


TABLE = _PREFIX + hashlib.sha256(_rules().encode()).hexdigest()[:8]
"""A table is never changed: one with other rules, of another version of sitin, has another name."""


def ruleset() -> str:
    """Returns the table as ``nft`` reads it; loading it fails where it is loaded."""
    return f"create table inet {TABLE}\ntable inet {TABLE} {{ {_rules()} }}\n"


class Firewall:
    """The table as one worker uses it; workers on one machine share it."""

    async def admit(
        self,
        identity: Identity,
        *,
        ports: Sequence[int],
        media: Sequence[MediaAddresses],
        lifetime: float,
    ) -> None:
        """Confines a bot from now on; ``ports`` are its runner's, ``lifetime`` is in seconds.

        Raises ``FirewallError``.
        """
        tables = await _tables()
        for other in tables - {TABLE}:
            await _remove(identity.uid, other)
        elements = "\n".join(_elements(identity.uid, ports, media, lifetime))
        if TABLE not in tables:
            try:
                await _nft("-f", "-", stdin=ruleset() + elements)
            except FirewallError:
                if TABLE not in await _tables():
                    raise
            else:
                return
        await _nft("-f", "-", stdin=elements)

    async def holds(self, identity: Identity) -> bool:
        """Tells whether a bot is confined."""
        try:
            await _nft("get", "element", "inet", TABLE, "bots", f"{{ {identity.uid} }}")
        except FirewallError:
            return False
        return True

    async def remove(self, identity: Identity) -> None:
        """Removes what there is of a bot whose processes are gone. Raises ``FirewallError``."""
        for table in await _tables():
            await _remove(identity.uid, table)


async def _tables() -> set[str]:
    """The tables of this and of other versions."""
    listed = json.loads(await _nft("-j", "list", "tables"))["nftables"]
    tables = [one["table"] for one in listed if "table" in one]
    return {
        one["name"] for one in tables if one["family"] == "inet" and one["name"].startswith(_PREFIX)
    }


async def _remove(uid: int, table: str) -> None:
    listed = json.loads(await _nft("-j", "list", "table", "inet", table))
    deletions = [
        {"delete": {"element": {"family": "inet", "table": table, "name": name, "elem": keys}}}
        for name, keys in _elements_of(uid, listed)
    ]
    if deletions:
        await _nft("-j", "-f", "-", stdin=json.dumps({"nftables": deletions}))


@functools.cache
def failure() -> str | None:
    """Returns why there is no packet filter for bots on this machine; ``None`` when there is."""
    if os.geteuid() != 0:
        return "sitin does not run as root"
    if shutil.which("nft") is None:
        return "nftables is not installed"
    try:
        # Checked by the kernel and not applied; under a name that is not loaded.
        _call_nft(("--check", "-f", "-"), ruleset().replace(TABLE, f"{TABLE}_check"))
    except FirewallError as error:
        return str(error)
    return None


def _elements(
    uid: int, ports: Sequence[int], media: Sequence[MediaAddresses], lifetime: float
) -> Iterator[str]:
    expiry = f"timeout {int(lifetime) + _DAY}s"
    # Whatever an earlier bot of this id has left must not expire under this one.
    yield f"add element inet {TABLE} bots {{ {uid} }}"
    yield f"delete element inet {TABLE} bots {{ {uid} }}"
    yield f"add element inet {TABLE} bots {{ {uid} {expiry} }}"
    for port in ports:
        yield f"add element inet {TABLE} listeners {{ {uid} . {port} {expiry} }}"
    for one in media:
        version = one.network.version
        where = f"{uid} . {one.network} . {one.first_port}-{one.last_port}"
        yield f"add element inet {TABLE} media{version} {{ {where} {expiry} }}"


def _elements_of(uid: int, listed: Any) -> Iterator[tuple[str, list[Any]]]:
    """The sets that hold something of this user, and the keys of that."""
    for entry in listed["nftables"]:
        found = entry.get("set")
        if found is None or found["name"] not in _BOT_SETS:
            continue
        keys = [one["elem"]["val"] for one in found.get("elem", ())]
        own = [_with_range(key) for key in keys if _uid_of(key) == uid]
        if own:
            yield found["name"], own


def _with_range(key: Any) -> Any:
    """The key with its port as a range, without which nft 1.0.6 finds no element of one port."""
    match key:
        case {"concat": [uid, address, int(port)]}:
            return {"concat": [uid, address, {"range": [port, port]}]}
    return key


def _uid_of(key: Any) -> Any:
    return key["concat"][0] if isinstance(key, dict) else key


async def _nft(*arguments: str, stdin: str = "") -> str:
    return await asyncio.to_thread(_call_nft, arguments, stdin)


def _call_nft(arguments: Sequence[str], stdin: str) -> str:
    try:
        result = subprocess.run(  # noqa: S603 - a fixed program, rules of our own
            # Users and groups as numbers: the names are those of this machine's accounts.
            ["nft", "--numeric", *arguments],  # noqa: S607 - as everywhere, out of PATH
            input=stdin,
            check=False,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
    except OSError as error:
        raise FirewallError(f"nft cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise FirewallError("nft does not answer") from None
    if result.returncode != 0:
        raise FirewallError(_last_line(result.stderr) or f"nft ends with {result.returncode}")
    return result.stdout


def _last_line(text: str) -> str:
    """The sentence in what ``nft`` complains of, which is followed by the line it means."""
    lines = [line for line in text.splitlines() if "Error:" in line]
    return lines[0].split("Error:", 1)[1].strip() if lines else ""
