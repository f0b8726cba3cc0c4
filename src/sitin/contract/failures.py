"""The three kinds of failure an adapter may raise. Nobody else reads a vendor's text."""

from sitin.contract.codes import EndReason


class AdapterError(Exception):
    """Base of the three kinds.

    Attributes:
        message: One sentence in our words, fit for a customer.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RetriableError(AdapterError):
    """It may work later.

    Attributes:
        after: Seconds to wait at least; ``None`` leaves it to the caller.
    """

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class ActionRequiredError(AdapterError):
    """Somebody has to do something first.

    Attributes:
        by: Who: ``operator`` (of this install) or ``customer``.
    """

    def __init__(self, message: str, *, by: str) -> None:
        super().__init__(message)
        self.by = by


class PermanentError(AdapterError):
    """It will not work however often it is tried.

    Attributes:
        code: The code a bot ends with because of it.
    """

    def __init__(self, message: str, *, code: EndReason) -> None:
        super().__init__(message)
        self.code = code
