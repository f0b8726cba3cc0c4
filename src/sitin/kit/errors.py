"""The base of every error with a sentence for whoever caused it. Each room derives its own."""

import errno
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any


class SitinError(Exception):
    """An error that the API or a command may show as it is.

    Attributes:
        code: The machine's word for it, e.g. ``FST_ERR_VALIDATION``.
        status: The HTTP status it becomes.
        message: One sentence: what is wrong and what would be right.
        details: Further text for the error body, or ``None``.
        headers: Of the answer, besides the usual ones.
        fields: Of the error body, besides the usual ones.
    """

    code = "FST_ERR_INTERNAL"
    status = 500
    title = "Internal Server Error"
    headers: Mapping[str, str] = {}
    fields: Mapping[str, Any] = {}

    def __init__(self, message: str, *, details: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def body(self) -> dict[str, Any]:
        """The body of the answer that the API gives."""
        return error_body(
            self.status,
            error=self.title,
            code=self.code,
            message=self.message,
            details=self.details,
            fields=self.fields,
        )


def error_body(
    status: int,
    *,
    error: str,
    code: str,
    message: str,
    details: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the body of an error as the contract has it; that of a 400 has no ``details``."""
    body: dict[str, Any] = {
        "success": False,
        "error": error,
        "code": code,
        "statusCode": status,
        "message": message,
    }
    if status != HTTPStatus.BAD_REQUEST:
        body["details"] = details
    return body | dict(fields or {})


class OperatorError(SitinError):
    """Something the operator of this machine has to mend; a command prints it and ends with 1."""


def operator_error(error: OSError, path: Path) -> OperatorError:
    """What a failed file operation on ``path`` asks of the operator, as one sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(path)
    if error.errno in (errno.EACCES, errno.EPERM):
        return OperatorError(
            f"{path} cannot be read and written by this user: run sitin as the user who owns it, "
            "or set SITIN_DATA_DIR to a directory of your own."
        )
    if error.errno == errno.EROFS:
        return OperatorError(
            f"{path} is on a read-only file system: set SITIN_DATA_DIR to one that can be written."
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return OperatorError(
            f"{path} is not a directory: set SITIN_DATA_DIR to a directory, or remove that file."
        )
    return OperatorError(f"{path} cannot be used ({error.strerror}): check it and its disk.")


def no_space(path: Path) -> OperatorError:
    """The sentence for a full disk."""
    return OperatorError(f"There is no space left on the disk of {path}: free some and try again.")
