"""Where a request comes from, and the id that its answer, the log and the audit log share."""

import re
from ipaddress import ip_address

from fastapi import Request

from sitin.kit.ids import new_id

REQUEST_ID_HEADER = "x-request-id"

_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_of(request: Request) -> str:
    """The id that the request brought along, or a new one where it has none that can be used."""
    given = request.headers.get(REQUEST_ID_HEADER)
    if given is not None and _ACCEPTED.fullmatch(given):
        return given
    return str(new_id())


def client_of(request: Request) -> str | None:
    """The client's address; behind a proxy on this machine the one that the proxy forwards."""
    if request.client is None:
        return None
    try:
        return str(ip_address(request.client.host))
    except ValueError:
        return None
