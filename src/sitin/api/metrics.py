"""``GET /metrics`` in Prometheus' text format. Used by ``api.app`` and by cli.

The public port has it only where a token is set; a port of its own has it in every process.
"""

import hmac
from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.routing import Route

from sitin.kit.errors import error_body

PATH = "/metrics"


def metrics_endpoint(token: str | None) -> Callable[[Request], Awaitable[Response]]:
    """Returns the handler of ``GET /metrics``; with a token it answers only its bearer."""
    expected = None if token is None else f"bearer {token}".encode()

    async def metrics(request: Request) -> Response:
        if expected is not None and not _bears(request, expected):
            return _unauthorized()
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return metrics


def create_metrics_app(token: str | None) -> Starlette:
    """The application of a metrics port, which has nothing else."""
    app = Starlette(routes=[Route(PATH, metrics_endpoint(token), methods=["GET"])])
    app.router.redirect_slashes = False
    return app


def _bears(request: Request, expected: bytes) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return hmac.compare_digest(f"{scheme.lower()} {given.strip()}".encode(), expected)


def _unauthorized() -> JSONResponse:
    body = error_body(
        401,
        error="Unauthorized",
        code="FST_ERR_UNAUTHORIZED",
        message="authorization: send the token of SITIN_METRICS_TOKEN as a bearer token.",
    )
    return JSONResponse(body, status_code=401, headers={"www-authenticate": "Bearer"})
