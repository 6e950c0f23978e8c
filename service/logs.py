"""Structured logs that hold ids and words of ours, never a number or a text of anybody."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

_DIGITS = re.compile(r"\+?\d[\d\s().-]{7,}\d")
_PRIVATE_KEYS = frozenset({"body", "phone", "to", "from", "sender", "recipient", "name", "label", "text"})
_TIME_KEYS = frozenset({"timestamp", "at", "due_at"})


def configure_logs(level: str, log_format: str) -> None:
    """Set up logging for one process; foreign libraries' lines pass the same filter."""
    structlog.configure(
        processors=[*_processors(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(build_formatter(log_format))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("werkzeug", "twilio.http_client", "urllib3", "apscheduler", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def build_formatter(log_format: str) -> logging.Formatter:
    """Our lines (`console` or `json`), and everybody else's through the same filter."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_processors(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _drop_exception_text,
            renderer,
        ],
    )


def _processors() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]


def redact(text: str) -> str:
    """Blank out whatever looks like a phone number."""
    return _DIGITS.sub("[number]", text)


def describe_fault(error: BaseException) -> dict[str, str]:
    """An exception's type and where it happened: its message may quote what somebody wrote."""
    described = {"fault": type(error).__name__}
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None:
        described["where"] = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"
    return described


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    for key, value in list(event.items()):
        if key in _PRIVATE_KEYS:
            event[key] = "[private]"
        elif isinstance(value, str) and key not in _TIME_KEYS:
            event[key] = redact(value)
    return event


def _drop_exception_text(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """An exception's message may quote a statement's parameters: keep its type and where it happened."""
    info = event.pop("exc_info", None)
    if isinstance(info, tuple) and info[1] is not None:
        event.update(describe_fault(info[1]))
    return event
