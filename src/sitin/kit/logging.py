"""Logging for every process of sitin: structlog to standard error, without secrets.

Call ``configure`` first thing; a module logs with ``structlog.get_logger(__name__)``.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog

REDACTED = "***"

_SECRET_NAMES = re.compile(
    r"password|passwd|secret|token|api[-_]?key|authorization|cookie|signature|credential",
    re.IGNORECASE,
)
# What gives itself away inside a text: the password of a URL, our API keys, webhook secrets, and
# what follows a scheme of authentication or one of the names above.
_SECRET_TEXTS = re.compile(
    r"(?P<url>\w://[^\s:/@]*:)[^\s@/]+(?=@)"
    r"|(?P<key>\b(?:sitin_|whsec_))[\w+/=-]{16,}"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"
    r"|(?P<query>[?&][^=&\s]*(?:token|secret|signature|key|password)=)[^&\s'\"]+",
    re.IGNORECASE,
)

# A traceback's local variables would be a way for secrets to get out.
_exceptions = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)

# Libraries whose every request would else be a line.
_QUIET = ("httpx", "httpcore", "alembic", "asyncio", "uvicorn.access")


def configure(*, as_json: bool | None = None, level: str = "INFO") -> None:
    """Log to standard error, one JSON object a line, or for a person where that is a terminal."""
    as_json = not sys.stderr.isatty() if as_json is None else as_json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    render: list[structlog.typing.Processor] = (
        [_exceptions, redact, structlog.processors.JSONRenderer()]
        if as_json
        else [
            structlog.processors.format_exc_info,
            redact,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def redact(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Put ``***`` for values with a secret's name, and for secrets inside texts."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(name: str, value: Any) -> Any:
    if _SECRET_NAMES.search(name) and isinstance(value, str | bytes):
        return REDACTED
    if isinstance(value, str):
        return _SECRET_TEXTS.sub(_keep_prefix, value)
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(name, inner) for inner in value]
    return value


def _keep_prefix(match: re.Match[str]) -> str:
    return next(text for text in match.groupdict().values() if text is not None) + REDACTED
