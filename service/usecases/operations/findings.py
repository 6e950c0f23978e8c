"""One line of `aftercare doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is (`ok`, `warning` or `error`), and what to do about it."""

    check: str
    level: str
    message: str


def ok(check: str, message: str) -> Finding:
    return Finding(check, "ok", message)


def warning(check: str, message: str) -> Finding:
    return Finding(check, "warning", message)


def error(check: str, message: str) -> Finding:
    return Finding(check, "error", message)
