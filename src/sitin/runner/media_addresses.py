"""Private addresses to which a bot's browser may send media. For settings and the firewall.

To public addresses it may always send. A meeting inside the private network or on this machine (an
SFU of one's own, a rehearsal) needs a setting, ``SITIN_BROWSER_MEDIA_ADDRESSES``. Unset, the
addresses are those to which the operator's host rules lead: where the page is, its media is.
"""

import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

import psutil

FIRST_PORT, LAST_PORT = 1024, 65_535
"""Ports of media servers, where none are named: those that need no privilege."""
ALLOW_LOOPBACK = "--allow-loopback-in-peer-connection"
"""Chromium's flag without which it sends no media to loopback."""

_EPHEMERAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_MULTICAST_DNS, _MULTICAST_DNS_PORT = ("224.0.0.251", "ff02::fb"), 5353
_ENTRY = re.compile(r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<plain>[^:]+))(?::(?P<ports>[\d-]+))?\Z")


class MediaAddressError(ValueError):
    """An entry that is not an address with ports."""


@dataclass(frozen=True, slots=True)
class MediaAddresses:
    """A network and a range of UDP ports."""

    network: IPv4Network | IPv6Network
    first_port: int = FIRST_PORT
    last_port: int = LAST_PORT


def parse_media_addresses(text: str) -> tuple[MediaAddresses, ...]:
    """Parses ``ADDRESS[/LENGTH][:PORT[-PORT]]``, separated by commas; IPv6 stands in brackets.

    Raises ``MediaAddressError``.
    """
    return tuple(_entry(part) for part in (one.strip() for one in text.split(",")) if part)


def _entry(text: str) -> MediaAddresses:
    try:
        found = _ENTRY.match(text)
        if found is None:
            raise ValueError(text)
        network = ip_network(found["bracketed"] or found["plain"])
        if not found["ports"]:
            return MediaAddresses(network)
        first, _, last = found["ports"].partition("-")
        entry = MediaAddresses(network, int(first), int(last or first))
        if not 1 <= entry.first_port <= entry.last_port <= LAST_PORT:
            raise ValueError(text)
    except ValueError:
        raise MediaAddressError(
            f"{text!r} is not ADDRESS[/LENGTH][:PORT[-PORT]], e.g. 10.1.2.0/24:10000-20000 or "
            "[fd00::1]:3478"
        ) from None
    return entry


def addresses_of_rules(
    hosts: Sequence[str], browser_args: Sequence[str]
) -> tuple[MediaAddresses, ...]:
    """Returns where a meeting sends its media whose page the operator's host rules lead to.

    That is the numeric ones among the hosts; loopback only with Chromium's own flag for it. A page
    on loopback is a rehearsal, whose participants may also be at this machine's other addresses:
    at ports that the system gives to whoever asks for none, and under names of multicast DNS, by
    which browsers hide their addresses from pages.
    """
    found: dict[MediaAddresses, None] = {}
    rehearsal = False
    for host in hosts:
        try:
            address = ip_address("127.0.0.1" if host.lower() == "localhost" else host)
        except ValueError:
            continue
        rehearsal = rehearsal or address.is_loopback
        if not address.is_loopback or ALLOW_LOOPBACK in browser_args:
            found[MediaAddresses(ip_network(str(address)))] = None
    if rehearsal:
        first, last = map(int, _EPHEMERAL_PORTS.read_text().split())
        for own in _own_addresses():
            found[MediaAddresses(own, first, last)] = None
        for group in _MULTICAST_DNS:
            found[MediaAddresses(ip_network(group), _MULTICAST_DNS_PORT, _MULTICAST_DNS_PORT)] = (
                None
            )
    return tuple(found)


def _own_addresses() -> Iterator[IPv4Network | IPv6Network]:
    """This machine's addresses but loopback."""
    for interface in psutil.net_if_addrs().values():
        for one in interface:
            if one.family in (socket.AF_INET, socket.AF_INET6):
                # One of the link alone has its interface behind a per cent sign.
                network = ip_network(one.address.partition("%")[0])
                if not network.is_loopback:
                    yield network
