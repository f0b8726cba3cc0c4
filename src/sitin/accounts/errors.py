"""Errors of accounts, as the API and the commands show them."""

from sitin.kit.errors import OperatorError, SitinError


class UnauthorizedError(SitinError):
    """No key, or one that nobody has."""

    code = "FST_ERR_UNAUTHORIZED"
    status = 401
    title = "Unauthorized"


class ForbiddenError(SitinError):
    """The key is known and may not do this."""

    code = "FST_ERR_FORBIDDEN"
    status = 403
    title = "Forbidden"


class UnknownTeamError(OperatorError):
    """A command named a team that is not there."""
