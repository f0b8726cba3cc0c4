"""Whom this service trusts when it connects. Used by everything that asks others over HTTPS."""

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """The certificates that are trusted, read once: reading them takes a tenth of a second."""
    return httpx.create_ssl_context()
