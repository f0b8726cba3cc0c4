"""Addresses of Zoom. Read by ``sitin.platforms.urls`` only. Facts of November 2026.

White-label fronts on other hosts are refused: nothing in the address tells them from a stranger's
page. ``/my/<name>`` is accepted, though only Zoom knows which meeting it leads to.
"""

import re
from dataclasses import replace

from sitin.contract.codes import Platform
from sitin.platforms.addresses import Address, PlatformAddresses, QueryRule, Shape

# Base64 with its padding, or letters and digits with Zoom's ``.1`` behind; text pasted after it
# ("Passcode: 497810") ends the match.
_PASSCODE = QueryRule(
    "pwd", re.compile(r"[A-Za-z0-9_-]+(?:\.[0-9]+|={1,2})?"), aliases=("password",)
)
_REGISTRANT = QueryRule("tk", re.compile(r"[A-Za-z0-9._-]+"))

_MEETING = re.compile(r"/(?:j/|w/|s/|wc/join/)(?P<id>[0-9]{9,11})/?")
_PASTED = re.compile(r"\s*\(Passcode: ?(?P<passcode>[A-Za-z0-9]+)\)?$")
_WEB_CLIENT = re.compile(r"/wc/(?P<id>[0-9]{9,11})(?:/(?:join|start)?)?/?")


def _with_pasted_passcode(address: Address) -> Address:
    """Take up the "(Passcode: 584706)" that invitations carry behind the address."""
    pasted = _PASTED.search(address.path)
    if pasted is None:
        return address
    passcode = {"pwd": pasted["passcode"]}
    return replace(address, path=address.path[: pasted.start()], query=passcode | address.query)


ADDRESSES = PlatformAddresses(
    platform=Platform.ZOOM,
    hosts={
        "zoom.us": "zoom.us",
        ".zoom.us": "zoom.us",
        "zoom.com": "zoom.us",
        ".zoom.com": "zoom.us",
        "zoomgov.com": "zoomgov.com",
        ".zoomgov.com": "zoomgov.com",
    },
    denied=frozenset({"events.zoom.us", "ev.zoom.com"}),
    shapes=(
        # A registrant's link is theirs alone and stays as it is.
        Shape(
            path=re.compile(r"(?P<path>/(?P<kind>[jw])/(?P<id>[0-9]{9,11}))/?"),
            template="https://{original_host}/{kind}/{id}",
            keep=(_PASSCODE, _REGISTRANT),
            when=frozenset({"tk"}),
        ),
        Shape(path=_MEETING, template="https://{host}/j/{id}", keep=(_PASSCODE,)),
        Shape(path=_WEB_CLIENT, template="https://{host}/j/{id}", keep=(_PASSCODE,)),
        Shape(
            path=re.compile(r"/my/(?P<name>[A-Za-z0-9._-]{1,64})/?"),
            template="https://{original_host}/my/{name}",
            keep=(_PASSCODE,),
        ),
    ),
    relocate=_with_pasted_passcode,
)
