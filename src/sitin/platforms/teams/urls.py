"""Addresses of Microsoft Teams. Read by ``sitin.platforms.urls`` only. Facts of November 2026.

A long link without its context, or with a tenant and no organiser, is accepted: the thread names
the meeting, and whether that suffices is for Teams to say. A context that is no JSON is refused.
"""

import base64
import binascii
import json
import re
from dataclasses import replace
from urllib.parse import unquote

from sitin.contract.codes import Platform
from sitin.platforms.addresses import Address, PlatformAddresses, QueryRule, Shape, query_of


def _canonical_context(value: str) -> str:
    """The tenant and organiser alone, in one spelling. Raises ``ValueError`` for anything else."""
    context = json.loads(value)
    known = {
        key: context[key]
        for key in ("Tid", "Oid")
        if isinstance(context, dict) and isinstance(context.get(key), str)
    }
    if "Tid" not in known:
        raise ValueError("no tenant in the context")
    return json.dumps(known, separators=(",", ":"))


_CONTEXT = QueryRule("context", re.compile(r".+", re.DOTALL), rewrite=_canonical_context)
_PASSCODE = QueryRule("p", re.compile(r"[A-Za-z0-9+/_-]+"))
_LAUNCHER = "/dl/launcher/launcher.html"
_LIGHT = "/light-meetings/launch"


def _relocate(address: Address) -> Address | None:
    """Undo the launcher, the light client and the addresses kept behind ``#``."""
    target = None
    if address.path == _LAUNCHER:
        # Written plainly, the inner link's ``#`` begins the outer one's fragment.
        target = address.fragment or address.query.get("url", "")
        for _ in range(2):
            if "%2F" in target.partition("?")[0].upper():
                target = unquote(target)
    elif address.path == _LIGHT:
        return _from_coordinates(address)
    elif address.path in ("/v2/", "/v2", "/_", "/") and address.fragment:
        target = address.fragment
    if target is None:
        return address
    return _inner(address, target.removeprefix("/_#"))


def _inner(address: Address, target: str) -> Address:
    path, _, query = target.partition("?")
    return replace(address, path=unquote(path), query=query_of(query))


def _from_coordinates(address: Address) -> Address | None:
    try:
        text = address.query.get("coords", "")
        coordinates = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
        thread = coordinates["conversationId"]
        context = {"Tid": coordinates["tenantId"], "Oid": coordinates["organizerId"]}
        message = coordinates.get("messageId", "0")
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not all(isinstance(part, str) for part in (thread, message, *context.values())):
        return None
    return replace(
        address,
        path=f"/l/meetup-join/{thread}/{message}",
        query={"context": json.dumps(context)},
    )


ADDRESSES = PlatformAddresses(
    platform=Platform.TEAMS,
    hosts={
        "teams.microsoft.com": "{host}",
        ".teams.microsoft.com": "{host}",
        "teams.live.com": "{host}",
        "teams.cloud.microsoft": "{host}",
        "gov.teams.microsoft.us": "{host}",
        "dod.teams.microsoft.us": "{host}",
    },
    shapes=(
        Shape(
            path=re.compile(
                r"/l/meetup-join/(?P<thread>19:[A-Za-z0-9_-]+@thread\.(?:v2|tacv2|skype))"
                r"(?:/(?P<message>[0-9]{1,20}))?/?"
            ),
            template="https://{host}/l/meetup-join/{thread}/{message}",
            keep=(_CONTEXT,),
        ),
        Shape(
            path=re.compile(r"/meet/(?P<id>[0-9]{3,20})/?"),
            template="https://{host}/meet/{id}",
            keep=(_PASSCODE,),
        ),
    ),
    relocate=_relocate,
)
