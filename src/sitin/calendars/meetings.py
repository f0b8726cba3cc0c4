"""Which address an event's meeting is at. Pure; used by the sync.

In this order: what the provider lists for joining by video, the location, the description; in each,
the first that is a meeting of a known platform. When there is none, the first address that the
provider lists, or that the location consists of, is told as it is: somebody's meeting, on a
platform that no bot knows. Prose that merely mentions a platform is no address.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

from sitin.contract.calendars import ProviderEvent
from sitin.contract.codes import Platform
from sitin.platforms.urls import MeetingUrl, is_web_address, recognise

LONGEST = 2048
"""Characters of an address; what is longer is nobody's link."""

_MOST = 200
"""Addresses looked at in one text."""

_ADDRESS = re.compile(r"""(?i)\bhttps?://[^\s<>"'\\^`{|}]+""")
_BARE = re.compile(
    r"(?i)(?<![\w./@-])(?:[a-z0-9-]+\.)*"
    r"(?:zoom\.us|meet\.google\.com|teams\.microsoft\.com|teams\.live\.com)/[^\s<>\"']+"
)


@dataclass(frozen=True, slots=True)
class EventMeeting:
    """Where an event's meeting is.

    Attributes:
        url: As the event gives it, out of the links that mail programs wrap around addresses.
        joined_url: Normalised, for a bot; ``None`` on a platform that is not known.
    """

    url: str
    joined_url: str | None
    platform: Platform | None


def meeting_of(event: ProviderEvent) -> EventMeeting | None:
    """The event's meeting, or ``None`` when it names no address."""
    location = (event.location or "").strip()
    # A location that is an address as a whole may have a passcode behind it.
    places = (location, *_addresses(location))
    for text in (*event.links, *places, *_addresses(event.description or "")):
        if len(text) <= LONGEST and (meeting := recognise(text)) is not None:
            return EventMeeting(_shown(meeting), meeting.url, meeting.platform)
    for text in (*event.links, location):
        if len(text) <= LONGEST and is_web_address(text) and _is_plain(text):
            return EventMeeting(text, None, None)
    return None


def _shown(meeting: MeetingUrl) -> str:
    """The address as it was written, where it can stand as one."""
    written = meeting.written
    return written if is_web_address(written) and _is_plain(written) else meeting.url


def _is_plain(text: str) -> bool:
    return text.isascii() and not any(character in ' "<>\\^`{|}' for character in text)


def _addresses(text: str) -> Iterator[str]:
    """What looks like an address in a text or in HTML, in order."""
    found = 0
    for part in _parts(text):
        for pattern in (_ADDRESS, _BARE):
            for match in pattern.finditer(part):
                yield match.group().rstrip(").,;:!?]")
                found += 1
                if found >= _MOST:
                    return


def _parts(text: str) -> list[str]:
    if "<" not in text:
        return [html.unescape(text)]
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return [*reader.links, "".join(reader.texts)]


class _Reader(HTMLParser):
    """Takes the targets of links and the text out of HTML, however broken."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link; every element parts the texts around it."""
        self.texts.append(" ")
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the library's signature
        """Part the texts."""
        self.texts.append(" ")

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)
