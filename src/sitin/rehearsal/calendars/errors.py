"""What controls and tests are told that ask the impossible, and what clients are. For the room."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from sitin.kit.errors import SitinError


class CalendarControlError(SitinError):
    """Something that cannot be done; the message names the field and what would be right."""

    code = "REHEARSAL_CONTROL"
    status = 400
    title = "Not possible"


class UnknownError(SitinError):
    """No such account, calendar, event or subscription."""

    code = "REHEARSAL_UNKNOWN"
    status = 404
    title = "Not found"


class ApiError(Exception):
    """An answer that refuses."""

    def __init__(
        self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """As HTTP."""
        return JSONResponse(dict(self.body), self.status, headers=self.headers)
