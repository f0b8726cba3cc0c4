"""Public addresses and every way of writing one that is not."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sitin.kit.addresses import address_is_public, public_networks, resolve

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "93.184.216.34", "100.128.0.1", "172.32.0.1"),
        *("2606:4700::1111", "2a00:1450::8a", "::ffff:1.1.1.1", "64:ff9b::101:101"),
    ],
)
def test_public(address: str) -> None:
    assert address_is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.1.2.3", "127.0.0.1", "127.255.255.254", "169.254.1.1"),
        *("172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255"),
        *("192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1", "198.19.255.255"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
        # Metadata of Amazon, Google, Azure and others; Alibaba; Oracle; Azure's host.
        *("169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1"),
        *("ff02::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1", "2001:2::1", "2001:20::1"),
        # Carrying 127.0.0.1, 10.0.0.1 or 169.254.169.254: mapped, compatible, NAT64, 6to4, Teredo.
        *("::ffff:127.0.0.1", "::ffff:a00:1", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
        *("2001:0:7f00:1::", "2001::a9fe:a9fe"),
        *("2606:4700::1111%eth0", "localhost", "", "1.1.1", "0x7f.1", "2130706433"),
    ],
)
def test_not_public(address: str) -> None:
    assert not address_is_public(address)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost"])
async def test_other_ways_of_writing_an_address_are_resolved_before_they_are_judged(
    host: str,
) -> None:
    addresses = await resolve(host, 80)
    assert addresses
    assert not any(address_is_public(address) for address in addresses)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6, network="2000::/3"), st.ip_addresses()))
@example(ip_address("64:ff9b::a00:1"))
@example(ip_address("64:ff9b::808:808"))
@example(ip_address("168.63.129.16"))
@example(ip_address("2001:db8::1"))
def test_a_packet_filter_of_the_public_networks_decides_the_same(
    address: IPv4Address | IPv6Address,
) -> None:
    """But for mapped addresses, which are no addresses of packets."""
    public = public_networks()
    if isinstance(address, IPv4Address):
        accepted = not any(address in network for network in public.not_v4)
    else:
        inside = any(address in network for network in public.v6)
        accepted = inside and not any(address in network for network in public.not_v6)
        assume(address.ipv4_mapped is None)
    assert accepted == address_is_public(address)
