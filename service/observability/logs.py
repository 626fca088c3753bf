"""Structured logs: one event a line, as JSON or text, the libraries' own lines included, and nothing of a picture.

What is logged is chosen where it is logged: ids, counts, times, names of problems; never option values, file names,
addresses or user agents. What could carry such things unasked is handled here: exceptions are written as their types
and source lines, without messages and local variables (a message may quote its input), and libraries are heard from
WARNING on only.
"""

import logging
import sys
import traceback
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

OWN = "service"
"""The package whose loggers follow the configured level."""

SERVER = "uvicorn.error"
"""Despite its name uvicorn's life cycle: started, shutting down, invalid requests."""

ACCESS = "uvicorn.access"
"""Carries addresses and raw paths: always off, `api.middleware` writes the access log."""


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of module `name`; events are short names (`receipt-lost`), everything else is a field."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def configure(format: str, level: str, stream: TextIO | None = None) -> None:
    """Routes every log line of the process to `stream` (by default stdout).

    `format`: "json" or "text". `level`: "debug", "info", "warning" or "error", of Veil's own lines.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(default=str)
        if format == "json"
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    handler = logging.StreamHandler(sys.stdout if stream is None else stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, safe_exception, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    least = LEVELS[level]
    root.setLevel(max(least, logging.WARNING))
    logging.getLogger(OWN).setLevel(least)
    for name in ("uvicorn", SERVER, ACCESS):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    logging.getLogger(SERVER).setLevel(max(least, logging.INFO))
    logging.getLogger(ACCESS).disabled = True
    logging.captureWarnings(True)


def safe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces `exc_info` by `exception`: the chain of types and source lines, no messages, no values."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    elif isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if isinstance(info, tuple) and info[1] is not None:
        event["exception"] = "\n".join(_chain(info[1]))
    return event


def _chain(error: BaseException) -> list[str]:
    """Lines about `error` and what led to it, the outermost first."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        lines.append(f"{type(current).__module__}.{type(current).__qualname__}")
        lines += [
            f"  {f.filename}:{f.lineno} in {f.name}: {f.line}" for f in traceback.extract_tb(current.__traceback__)
        ]
        if isinstance(current, BaseExceptionGroup):
            for inner in current.exceptions:
                lines += _chain(inner)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return lines
