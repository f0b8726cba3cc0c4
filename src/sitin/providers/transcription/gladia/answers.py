"""Which of the three kinds of failure an answer of Gladia's is. Used by the engine beside it only.

What was observed: errors 400, 401, 403, 404 and 422 come as ``{statusCode, message,
validation_errors?}``; 401 when the key is missing or unknown; 429 over the account's concurrency;
403 to a deletion means that the job cannot be deleted yet.
"""

from datetime import datetime
from typing import Any

import httpx
from pydantic_core import from_json

from sitin.contract.codes import EndReason
from sitin.contract.failures import ActionRequiredError, PermanentError, RetriableError
from sitin.providers.retry_after import seconds_to_wait

_PASSING = frozenset({408, 425, 429})
_LONGEST_QUOTE = 300


class GoneError(PermanentError):
    """The provider knows nothing under this id."""

    def __init__(self) -> None:
        super().__init__(
            "Gladia does not know this transcription any more.", code=EndReason.TRANSCRIPTION_FAILED
        )


def failure_of(
    response: httpx.Response, body: bytes, *, doing: str, own_key: bool, now: datetime
) -> RetriableError | ActionRequiredError | PermanentError:
    """The failure that this answer stands for.

    Args:
        response: The answer, not a success.
        body: What it said, possibly cut off.
        doing: What was asked, to complete "Gladia could not …".
        own_key: Whether the key was the customer's own.
        now: The time, to read a ``retry-after`` that names a date.
    """
    status = response.status_code
    if status in _PASSING or status >= 500:
        return RetriableError(
            f"Gladia could not {doing} now (status {status}).",
            after=seconds_to_wait(response.headers.get("retry-after"), now=now),
        )
    if status in {401, 402, 403}:
        whose = "The Gladia key of this request" if own_key else "This service's Gladia key"
        return ActionRequiredError(
            f"{whose} was refused (status {status}).", by="customer" if own_key else "operator"
        )
    if 300 <= status < 400:
        return ActionRequiredError(
            "Gladia's address leads elsewhere; SITIN_GLADIA_URL has to name the final one.",
            by="operator",
        )
    if status == 404:
        return GoneError()
    return PermanentError(
        f"Gladia refused to {doing} (status {status}{_quote(body)}).",
        code=EndReason.TRANSCRIPTION_FAILED,
    )


def _quote(body: bytes) -> str:
    """What it says about the fields: the likely cause are the customer's own parameters."""
    try:
        said: Any = from_json(body)
    except ValueError:
        return ""
    if not isinstance(said, dict):
        return ""
    complaints = said.get("validation_errors")
    if isinstance(complaints, list) and complaints:
        text = "; ".join(str(complaint) for complaint in complaints)
    elif isinstance(said.get("message"), str):
        text = said["message"]
    else:
        return ""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return f": {printable[:_LONGEST_QUOTE]}"
