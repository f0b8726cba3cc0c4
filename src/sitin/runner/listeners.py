"""The two loopback ports of a bot's runner, on which its browser reaches it.

The supervisor opens them and hands them down, so that the kernel is told of them before the browser
starts: the firewall by the supervisor, Landlock by the runner.
"""

import socket
from dataclasses import dataclass
from typing import Self

LOOPBACK = "127.0.0.1"
_BACKLOG = 64


@dataclass(frozen=True, slots=True)
class Listeners:
    """Listening sockets. Who serves on one takes a duplicate, since servers close theirs."""

    proxy: socket.socket
    capture: socket.socket

    @classmethod
    def open(cls) -> Self:
        """Listens on two free ports. Raises ``OSError``."""
        proxy, capture = (socket.create_server((LOOPBACK, 0), backlog=_BACKLOG) for _ in range(2))
        return cls(proxy, capture)

    @classmethod
    def inherited(cls, descriptors: str) -> Self:
        """Takes the sockets that the supervisor has handed down, as ``--listeners`` names them."""
        proxy, capture = (socket.socket(fileno=int(one)) for one in descriptors.split(","))
        for one in (proxy, capture):
            one.set_inheritable(False)
        return cls(proxy, capture)

    @property
    def descriptors(self) -> tuple[int, int]:
        """Their descriptors in this process."""
        return self.proxy.fileno(), self.capture.fileno()

    @property
    def ports(self) -> tuple[int, int]:
        """Their port numbers."""
        return self.proxy.getsockname()[1], self.capture.getsockname()[1]

    def close(self) -> None:
        """Closes this process's own."""
        self.proxy.close()
        self.capture.close()
