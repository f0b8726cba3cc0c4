"""A plain HTTP client that adds little of its own to what it measures. Run in a process of its own.

``measure`` starts it: so many clients, each on a connection of its own, one request after another.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Order:
    """What to ask, how often, by how many clients."""

    url: str
    """Of the service."""
    requests: list[tuple[str, str, str]]
    """Method, path and body, taken in turn."""
    clients: int
    count: int
    """Requests altogether."""
    headers: dict[str, str] = field(default_factory=dict)


async def measure(order: Order) -> list[float]:
    """Seconds that each request took; every answer was a 2xx."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.load",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(json.dumps(asdict(order)).encode())
    assert process.returncode == 0
    taken: list[float] = json.loads(output)
    return taken


def percentile(taken: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(taken)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def _run(order: Order) -> list[float]:
    taken: list[float] = []
    numbers = iter(range(order.count))
    encoded = [_encode(order, *request) for request in order.requests]

    async def client() -> None:
        parts = urlsplit(order.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for number in numbers:
            began = time.perf_counter()
            writer.write(encoded[number % len(encoded)])
            status = await _answer(reader)
            taken.append(time.perf_counter() - began)
            if not 200 <= status < 300:
                raise AssertionError(f"answered {status}")
        writer.close()

    await asyncio.gather(*(client() for _ in range(order.clients)))
    return taken


def _encode(order: Order, method: str, path: str, body: str) -> bytes:
    data = body.encode()
    headers = {
        "host": urlsplit(order.url).netloc,
        **order.headers,
        "content-length": str(len(data)),
    }
    if data:
        headers["content-type"] = "application/json"
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + data


async def _answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.split("\r\n")
    length = next(
        int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")
    )
    await reader.readexactly(length)
    return int(status.split()[1])


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run(Order(**json.load(sys.stdin))))))
