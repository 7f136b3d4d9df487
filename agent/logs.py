"""Logs: one event a line on standard error, key=value, quiet."""

import logging
import sys

import structlog

_ORDER = ("timestamp", "level", "stage", "event", "capture", "entry", "clip")


def configure_logs(level: str = "info") -> None:
    """Send every log line to standard error, readable by people and by scripts."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True),
            structlog.processors.format_exc_info,
            _drop_nothing,
            structlog.processors.LogfmtRenderer(key_order=_ORDER, drop_missing=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _drop_nothing(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Leave out what does not apply."""
    return {name: value for name, value in event.items() if value is not None}
