"""How a platform describes its meeting addresses. For the ``urls`` module of each platform.

Everything here treats the address as untrusted text: hosts are compared exactly or as
dot-subdomains, never by substring, and nothing is copied into the result that a pattern did not
match.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from sitin.contract.codes import Platform


@dataclass(frozen=True, slots=True)
class Address:
    """A web address taken apart; only ``http`` and ``https`` without userinfo and odd ports."""

    host: str
    """Lower case."""
    path: str
    """Percent-encoding undone once."""
    query: dict[str, str]
    """The first value of each name, decoded."""
    fragment: str
    """As written."""


@dataclass(frozen=True, slots=True)
class QueryRule:
    """A query parameter that belongs to the meeting's address.

    Attributes:
        name: What it is called in the normalised address.
        pattern: What of the value is kept; a value that does not begin so is dropped.
        aliases: Other names it goes by.
        rewrite: Brings the value into one form; a ``ValueError`` refuses the whole address.
    """

    name: str
    pattern: re.Pattern[str]
    aliases: tuple[str, ...] = ()
    rewrite: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class Shape:
    """One form an address can have.

    Attributes:
        path: What the whole decoded path matches; its groups fill the template.
        template: The normalised address, without its query; ``{host}`` is the canonical host. A
            group that took no part in the match says ``0``, Teams' word for no message.
        keep: The query parameters that go on, in this order.
        when: Further query parameters this shape needs to be the one that holds.
    """

    path: re.Pattern[str]
    template: str
    keep: tuple[QueryRule, ...] = ()
    when: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PlatformAddresses:
    """All a platform tells about its addresses.

    Attributes:
        hosts: Host name → canonical host; a name that begins with a dot stands for its subdomains.
        denied: Hosts that ``hosts`` would cover and that hold no meetings.
        shapes: Tried in order.
        relocate: Turns a launcher's address into the one it launches.
        lower: Set where the case of letters says nothing and small ones are the usual.
    """

    platform: Platform
    hosts: dict[str, str]
    shapes: tuple[Shape, ...]
    denied: frozenset[str] = frozenset()
    relocate: Callable[[Address], Address | None] = field(default=lambda address: address)
    lower: bool = False

    def canonical_host(self, host: str) -> str | None:
        """The host a normalised address carries, or ``None`` for a host of somebody else's."""
        if host in self.denied:
            return None
        for name, canonical in self.hosts.items():
            if host == name or (name.startswith(".") and host.endswith(name)):
                return canonical.format(host=host)
        return None

    def normalise(self, address: Address) -> str | None:
        """The normalised address, or ``None`` when this is no meeting of this platform."""
        host = self.canonical_host(address.host)
        relocated = self.relocate(address) if host else None
        if host is None or relocated is None:
            return None
        for shape in self.shapes:
            match = shape.path.fullmatch(relocated.path)
            if match and shape.when <= relocated.query.keys():
                url = _fill(shape, match, host, relocated)
                return url.lower() if url and self.lower else url
        return None


def _fill(shape: Shape, match: re.Match[str], host: str, address: Address) -> str | None:
    groups = {
        name: quote(value, safe="-._~") for name, value in match.groupdict(default="0").items()
    }
    result = shape.template.format(host=host, original_host=address.host, **groups)
    query = []
    for rule in shape.keep:
        value = next(
            (address.query[name] for name in (rule.name, *rule.aliases) if address.query.get(name)),
            None,
        )
        if value is None:
            continue
        if kept := rule.pattern.match(value):
            try:
                value = rule.rewrite(kept.group())
            except ValueError:
                return None
            query.append(f"{rule.name}={quote(value, safe='-._~=')}")
    return f"{result}?{'&'.join(query)}" if query else result


def take_apart(text: str) -> Address | None:
    """An address's parts, or ``None`` for what is no plain web address."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    if "@" in parts.netloc or port not in (None, 80 if parts.scheme == "http" else 443):
        return None
    return Address(
        host=parts.hostname,
        path=unquote(parts.path),
        query=query_of(parts.query),
        fragment=parts.fragment,
    )


def query_of(text: str) -> dict[str, str]:
    """The first value of each parameter. A plus sign stays one, as these platforms write it."""
    query: dict[str, str] = {}
    for name, value in parse_qsl(text.replace("+", "%2B"), keep_blank_values=True):
        query.setdefault(name, value)
    return query
