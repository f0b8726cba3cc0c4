"""Renders every error in the contract's body. Used by ``api.app``."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import Counter
from starlette.exceptions import HTTPException

from sitin.accounts.routing import response_headers
from sitin.kit.errors import OperatorError, SitinError, error_body
from sitin.kit.requests import sentence_of

_CODES = {
    404: "FST_ERR_NOT_FOUND",
    405: "FST_ERR_METHOD_NOT_ALLOWED",
}

UNFORESEEN = Counter("sitin_api_unforeseen_errors_total", "Requests answered with 500.")

log = structlog.get_logger(__name__)


def install(app: FastAPI) -> None:
    """Have this app's errors rendered here."""
    app.add_exception_handler(SitinError, _known)
    # What the operator has to mend is not for customers to read.
    app.add_exception_handler(OperatorError, _unforeseen)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def error_response(
    request: Request,
    status: int,
    *,
    error: str,
    code: str,
    message: str,
    details: str | None = None,
    headers: Mapping[str, str] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """An error as the contract writes it."""
    body = error_body(
        status, error=error, code=code, message=message, details=details, fields=fields
    )
    return JSONResponse(
        body, status_code=status, headers={**response_headers(request), **(headers or {})}
    )


async def _known(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SitinError)
    return JSONResponse(
        error.body(),
        status_code=error.status,
        headers={**response_headers(request), **error.headers},
    )


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return error_response(
        request,
        400,
        error="Bad Request",
        code="FST_ERR_VALIDATION",
        message=sentence_of(error.errors()),
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    sentences = {
        404: f"There is no {request.method} {request.url.path} here.",
        405: f"{request.url.path} does not answer to {request.method}.",
    }
    return error_response(
        request,
        status,
        error=status.phrase,
        code=_CODES.get(status, "FST_ERR_VALIDATION" if status == 400 else "FST_ERR_HTTP"),
        message=sentences.get(status, str(error.detail)),
        headers=dict(error.headers) if error.headers else None,
    )


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    UNFORESEEN.inc()
    log.error("unforeseen_error", method=request.method, path=request.url.path, exc_info=error)
    return error_response(
        request,
        500,
        error="Internal Server Error",
        code="FST_ERR_INTERNAL",
        message="Something went wrong inside this service; the operator's log tells more.",
        # The server closes it after what it did not foresee.
        headers={"connection": "close"},
    )
