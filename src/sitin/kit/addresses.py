"""Which network addresses are public. Used by the outgoing client, the bots' proxy and firewall."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
)

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Names to numeric addresses; raises ``OSError`` when there are none."""

# The registries of special addresses (RFC 6890 and its successors, at IANA), spelled out because
# what Python's ``is_global`` takes for public differs between its patch releases.
_NOT_PUBLIC_V4 = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; also Alibaba Cloud's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host, which answers every virtual machine
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle Cloud's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
]
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = [
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments; Teredo, which embeds an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which embeds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
]
_NAT64 = IPv6Network("64:ff9b::/96")
"""Where a network without IPv4 shows the IPv4 internet; the last 32 bits are the address."""


def address_is_public(address: str | IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the public internet's, and of no network nearer to us.

    Forms that carry an IPv4 address count as that address (mapped, NAT64) or are never public
    (6to4, Teredo, compatible). What is no address is not public.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return address_is_public(parsed.ipv4_mapped)
        if parsed in _NAT64:
            return address_is_public(IPv4Address(parsed.packed[-4:]))
        return (
            parsed in _GLOBAL_UNICAST_V6
            and parsed.scope_id is None
            and not any(parsed in network for network in _NOT_PUBLIC_V6)
        )
    return not any(parsed in network for network in _NOT_PUBLIC_V4)


@dataclass(frozen=True, slots=True)
class PublicNetworks:
    """What ``address_is_public`` accepts, for a packet filter: networks, less those in them."""

    v4: IPv4Network
    not_v4: tuple[IPv4Network, ...]
    v6: tuple[IPv6Network, ...]
    not_v6: tuple[IPv6Network, ...]


def public_networks() -> PublicNetworks:
    """Returns the public internet as networks. Each list is without overlaps."""
    nat64 = [_within_nat64(network) for network in _NOT_PUBLIC_V4]
    return PublicNetworks(
        IPv4Network("0.0.0.0/0"),
        tuple(collapse_addresses(_NOT_PUBLIC_V4)),
        (_GLOBAL_UNICAST_V6, _NAT64),
        tuple(collapse_addresses([*_NOT_PUBLIC_V6, *nat64])),
    )


def _within_nat64(network: IPv4Network) -> IPv6Network:
    address = int(_NAT64.network_address) | int(network.network_address)
    return IPv6Network((address, _NAT64.prefixlen + network.prefixlen))


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host as this machine's resolver gives them, in its order."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
