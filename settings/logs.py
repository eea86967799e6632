"""Logs: named events with ids, JSON in production, readable in development; secrets never reach a line."""

import logging.config
import re
from typing import Any

import structlog
import structlog.tracebacks
from structlog.typing import EventDict, WrappedLogger

_SECRET_NAMES = re.compile(r"(?i)(authorization|password|secret|token|api[_-]?key|card|cvc|signature|cookie)")
_MASK = "***"


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask every value whose name says that it is nobody's business."""
    for name in event:
        if isinstance(name, str) and _SECRET_NAMES.search(name):
            event[name] = _MASK
    return event


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    hide_secrets,
]


def configuration(*, as_json: bool, level: str) -> dict[str, Any]:
    """Return the configuration for `logging`; lines of libraries take the same form as ours."""
    # Local variables may hold a card holder's address or a key: a traceback names lines, never values.
    traceback = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    ending: list[Any] = [traceback, structlog.processors.JSONRenderer()] if as_json else [plain]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
            },
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # The middleware writes one line a request, and problems.py one a defect.
            "django.request": {"level": "CRITICAL"},
            "django.server": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
        },
    }


def apply(described: dict[str, Any]) -> None:
    """Set up `logging` and structlog; Django calls it once with LOGGING."""
    logging.config.dictConfig(described)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
