"""Private addresses for media: how they are written, and which follow from the host rules."""

import socket
from ipaddress import ip_network

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.runner.media_addresses import (
    ALLOW_LOOPBACK,
    MediaAddressError,
    MediaAddresses,
    addresses_of_rules,
    parse_media_addresses,
)
from sitin.runner.proxy import HostRules

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" , ", []),
        ("10.1.2.3", [("10.1.2.3/32", 1024, 65535)]),
        ("10.1.2.0/24:3478", [("10.1.2.0/24", 3478, 3478)]),
        ("127.0.0.1:5000-6000, fd00", None),
        ("127.0.0.1:5000-6000,[fd00::]:9", [("127.0.0.1/32", 5000, 6000), ("fd00::/128", 9, 9)]),
        ("[fd00::/8]", [("fd00::/8", 1024, 65535)]),
        ("10.1.2.3/24", None),
        ("10.1.2.3:", None),
        ("10.1.2.3:0", None),
        ("10.1.2.3:7-5", None),
        ("10.1.2.3:1-2-3", None),
        ("10.1.2.3:70000", None),
        ("fd00::1", None),
        ("sfu.example", None),
        ("10.1.2.3 } ; flush ruleset", None),
    ],
)
def test_entries(text: str, expected: list[tuple[str, int, int]] | None) -> None:
    if expected is None:
        with pytest.raises(MediaAddressError, match=r"is not ADDRESS\[/LENGTH\]"):
            parse_media_addresses(text)
    else:
        found = [(str(one.network), one.first_port, one.last_port) for one in _parsed(text)]
        assert found == expected


def _parsed(text: str) -> tuple[MediaAddresses, ...]:
    return parse_media_addresses(text)


@given(st.text(max_size=200))
def test_whatever_is_written_is_an_entry_or_is_named(text: str) -> None:
    try:
        parse_media_addresses(text)
    except MediaAddressError:
        return


def test_media_is_where_the_host_rules_lead() -> None:
    rules = HostRules(
        "MAP meet.google.com 127.0.0.1:9443, MAP a 10.0.0.1, MAP b 10.0.0.1:9, MAP c [fd00::1]:1, "
        "MAP d sfu.example, MAP e ~NOTFOUND, EXCLUDE f"
    )
    private = [ip_network("10.0.0.1"), ip_network("fd00::1")]
    far = [one for one in rules.replacements if one != "127.0.0.1"]
    assert [one.network for one in addresses_of_rules(far, [ALLOW_LOOPBACK])] == private
    without, *_ = addresses_of_rules(rules.replacements, [])
    assert without.network == private[0]
    whole = addresses_of_rules(rules.replacements, [ALLOW_LOOPBACK])
    assert [one.network for one in whole][:3] == [ip_network("127.0.0.1"), *private]
    assert {(one.first_port, one.last_port) for one in whole[:3]} == {(1024, 65535)}


def test_a_rehearsal_is_at_this_machines_other_addresses_too() -> None:
    others = addresses_of_rules(["127.0.0.1"], [])
    assert others == addresses_of_rules(["localhost"], [])
    own = {
        ip_network(one.address.partition("%")[0])
        for interface in psutil.net_if_addrs().values()
        for one in interface
        if one.family in (socket.AF_INET, socket.AF_INET6)
    }
    multicast_dns = {one for one in others if one.first_port == one.last_port == 5353}
    assert {str(one.network) for one in multicast_dns} == {"224.0.0.251/32", "ff02::fb/128"}
    for one in set(others) - multicast_dns:
        assert one.network in own
        assert not one.network.is_loopback
        assert one.first_port > 1024
