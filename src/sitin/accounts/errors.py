"""Errors of accounts, as the API and the commands show them."""

from collections.abc import Iterable
from decimal import Decimal

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


class OwnKeyNotAllowedError(SitinError):
    """The plan lets no bot bring a key of its own for the transcription provider."""

    code = "FST_ERR_BYOK_TRANSCRIPTION_NOT_ENABLED_ON_PLAN"
    status = 403
    title = "Forbidden"

    def __init__(self, plan: str) -> None:
        super().__init__(
            f"transcription_config.api_key: the plan {plan} does not allow keys of your own; leave "
            "it out, or change the plan."
        )


class InsufficientTokensError(SitinError):
    """Fewer tokens are available than have to be reserved."""

    code = "FST_ERR_INSUFFICIENT_TOKENS"
    status = 402
    title = "Payment Required"

    def __init__(self, *, available: Decimal, needed: Decimal) -> None:
        super().__init__(
            f"A bot needs {plain(needed)} tokens to begin with, and your team has "
            f"{plain(max(available, Decimal(0)))} available."
        )


class TooManyRequestsError(SitinError):
    """The team writes faster than its plan allows."""

    code = "FST_ERR_TOO_MANY_REQUESTS"
    status = 429
    title = "Too Many Requests"

    def __init__(self, *, limit: int, retry_after: int, headers: dict[str, str]) -> None:
        super().__init__(
            f"Your team may write {limit} times a second; try again in {retry_after} s.",
        )
        self.headers = headers | {"retry-after": str(retry_after)}
        self.fields = {"retryAfter": retry_after}


class IdempotencyKeyInvalidError(SitinError):
    """The header with the idempotency key holds none that can be used."""

    code = "FST_ERR_VALIDATION"
    status = 400
    title = "Bad Request"

    def __init__(self, longest: int) -> None:
        super().__init__(
            f"Idempotency-Key: send the header once, with 1 to {longest} printable ASCII "
            "characters."
        )


class IdempotencyKeyError(SitinError):
    """The idempotency key is taken by another request."""

    status = 409
    title = "Conflict"


class IdempotencyKeyReusedError(IdempotencyKeyError):
    """The key was sent before, with another body or to another operation."""

    code = "FST_ERR_IDEMPOTENCY_KEY_REUSED"

    def __init__(self) -> None:
        super().__init__(
            "Idempotency-Key: this key was sent within the last 24 hours with another operation, "
            "path or body; use a new key for a new request."
        )


class IdempotencyKeyInUseError(IdempotencyKeyError):
    """A request with the same key is being worked on."""

    code = "FST_ERR_IDEMPOTENCY_KEY_IN_USE"

    def __init__(self) -> None:
        super().__init__(
            "Idempotency-Key: a request with this key is still being worked on; repeat yours in a "
            "moment for its answer."
        )
        self.headers = {"retry-after": "1"}


class UnknownTeamError(OperatorError):
    """A command named a team that is not there."""


class TeamNameError(OperatorError):
    """A team was to get a name that it cannot have."""

    def __init__(self, longest: int) -> None:
        super().__init__(
            f"A team's name has 1 to {longest} characters, at least one of them visible and none "
            "a control character."
        )


class GrantError(OperatorError):
    """A team was to be granted tokens that its account cannot hold."""

    def __init__(self, least: Decimal, most: Decimal) -> None:
        super().__init__(f"This team can be granted {plain(least)} to {plain(most)} tokens.")


class UnknownKeyError(OperatorError):
    """A command named an API key that is not there."""


class UnknownPlanError(OperatorError):
    """Nobody has defined this plan."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(
            f"There is no plan {name!r}; the plans are {', '.join(known)}, and SITIN_PLANS adds "
            "others."
        )


def plain(amount: Decimal) -> str:
    """A number of tokens as people write it: ``0.5``, not ``0.500000``."""
    return f"{amount.normalize():f}"
