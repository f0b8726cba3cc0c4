"""The sockets that a process listens on: the API's and the metrics'. Used by wiring and doctor."""

import contextlib
import errno
import socket
from collections.abc import Iterator
from ipaddress import ip_address

from sitin.cli.settings import Settings
from sitin.kit.errors import OperatorError

METRICS_PORTS = 10
"""How many ports are tried for the metrics, from the one of the settings on: as many processes of
one machine can run with the same settings."""


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket on the address, before anything else is begun. Raises ``OperatorError``."""
    try:
        listener = _listen(host, port)
    except OSError as error:
        raise OperatorError(
            f"Cannot listen on {host}:{port} ({_reason(error)}): stop what uses it, or choose "
            "another with --port."
        ) from None
    with listener:
        yield listener


@contextlib.contextmanager
def metrics_listening(settings: Settings) -> Iterator[socket.socket | None]:
    """A socket for the metrics of this process; ``None`` where the settings turn them off.

    It is on the first free one of ``METRICS_PORTS`` ports, because several processes of a machine
    have metrics each. Raises ``OperatorError``.
    """
    if settings.metrics_port is None:
        yield None
        return
    with _first_free(settings.metrics_host, settings.metrics_port) as listener:
        yield listener


def _first_free(host: str, first: int) -> socket.socket:
    ports = range(first, min(first + METRICS_PORTS, 65536)) if first else (0,)
    for port in ports:
        try:
            return _listen(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise OperatorError(
                    f"SITIN_METRICS_HOST, SITIN_METRICS_PORT: cannot listen on {host}:{port} "
                    f"({_reason(error)}); name an address of this machine and a port that may be "
                    "used, or none as the port."
                ) from None
    raise OperatorError(
        f"SITIN_METRICS_PORT: the ports {ports[0]} to {ports[-1]} of {host} are in use; choose "
        "another, 0 for any free one, or none."
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def _reason(error: OSError) -> str:
    # Python's own text repeats the address.
    return str(error.strerror or error).partition(" (")[0]


def url_of(host: str, listener: socket.socket) -> str:
    """The address of a socket, as this machine reaches it."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - only shown
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
