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
            structlog.processors.LogfmtRenderer(key_order=_ORDER, drop_missing=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
