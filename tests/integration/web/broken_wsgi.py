"""An application that breaks outside of every error handler, for gunicorn to stumble over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def app(_environ: dict[str, Any], _start_response: object) -> Iterable[bytes]:
    raise RuntimeError("purple umbrella of +12025550147")
