"""Logs: named events with ids, JSON in production, readable in development; secrets never reach a line."""

import logging.config
from typing import Any

import structlog
import structlog.tracebacks
from structlog.typing import EventDict, WrappedLogger

from settings.masking import mask, mask_text
from shop.kernel.tracing import trace_under_way

# Written by ourselves; and the exception, for a renderer that shows tracebacks: its text is masked afterwards.
_KEPT = frozenset({"timestamp", "level", "logger", "exc_info"})


def add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Say which request a line belongs to, be it written in the request, in a consumer or in a task."""
    if trace := trace_under_way():
        event["request_id"] = trace.correlation_id
        if trace.causation_id:
            event["caused_by"] = trace.causation_id
    return event


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask what is nobody's business, by its name or by its looks, however deep it lies."""
    return {name: value if name in _KEPT else mask(value, name=str(name)) for name, value in event.items()}


def hide_secrets_in_text(_logger: WrappedLogger, _method: str, line: str) -> str:
    """Mask by its looks what a renderer has put into a line, tracebacks included."""
    return mask_text(line)


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    add_trace,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def _rendering(*, as_json: bool) -> list[Any]:
    # Local variables may hold a card holder's address or a key: a traceback names lines, never values.
    if as_json:
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [
            structlog.processors.ExceptionRenderer(frames),
            hide_secrets,
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ]
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    return [hide_secrets, plain, hide_secrets_in_text]


def formatter(*, as_json: bool) -> logging.Formatter:
    """Return what turns a record into its line; lines of libraries take the same form as ours."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(as_json=as_json)],
    )


def configuration(*, as_json: bool, level: str) -> dict[str, Any]:
    """Return the configuration for `logging`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structured": {"()": "settings.logs.formatter", "as_json": as_json}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # The middleware writes one line a request, and problems.py one a defect.
            "django.request": {"level": "CRITICAL"},
            "django.server": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            # In granian's workers. Its own process knows no Django: GRANIAN_LOG_CONFIG=deploy/granian/logs.json.
            "_granian": {"handlers": [], "propagate": True},
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
