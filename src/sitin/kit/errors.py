"""The base of every error with a sentence for whoever caused it. Each room derives its own."""


class SitinError(Exception):
    """An error that the API or a command may show as it is.

    Attributes:
        code: The machine's word for it, e.g. ``FST_ERR_VALIDATION``.
        status: The HTTP status it becomes.
        message: One sentence: what is wrong and what would be right.
        details: Further text for the error body, or ``None``.
    """

    code = "FST_ERR_INTERNAL"
    status = 500
    title = "Internal Server Error"

    def __init__(self, message: str, *, details: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class OperatorError(SitinError):
    """Something the operator of this machine has to mend; a command prints it and ends with 1."""
