"""Customers' receivers in a process of their own: ``python -m bench.receivers``.

Prints its port. ``POST /well/N`` is answered with 204 at once, ``POST /hangs/N`` never.
``GET /log`` tells each request as ``[path, event, bot_id, seconds]``, the last by the machine's
monotonic clock.
"""

import asyncio
import json
import socket
import time
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

log: list[tuple[str, str, str, float]] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    request = Request(scope, receive)
    if scope["method"] == "GET":
        await JSONResponse(log)(scope, receive, send)
        return
    payload = json.loads(await request.body())
    log.append((scope["path"], payload["event"], payload["data"]["bot_id"], time.monotonic()))
    if scope["path"].startswith("/hangs/"):
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    await Response(status_code=204)(scope, receive, send)


def main() -> None:
    # All of 127.0.0.0/8 leads here, so that every endpoint has a host of its own.
    with socket.create_server(("0.0.0.0", 0), backlog=2048) as listener:
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
