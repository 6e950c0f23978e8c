"""Nothing readable leaks: every log line of a full run, with no number and no text in any of them."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from service.logs import configure_logs
from tests.acceptance.line import running_line
from tests.conftest import FakeClock
from tests.standin import reset_after_accept, status

NUMBER = re.compile(r"\+?1?[\s.(-]*202[\s.)-]*555[\s.-]*01\d\d")
SAID = ("JOIN", "purple umbrella", "please stop texting me")


@contextmanager
def recorded_logs(level: str) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    configure_logs(level, "json")
    stream = io.StringIO()
    for handler in root.handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream)
    try:
        yield stream
    finally:
        root.handlers, root.level = before


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_no_log_line_of_a_full_run_holds_a_number_or_a_text(database_url: str, level: str) -> None:
    clock = FakeClock(datetime(2026, 11, 22, 18, 0, tzinfo=UTC))
    with recorded_logs(level) as stream, running_line(database_url, clock) as line:
        heard = line.text("JOIN") + line.text("yes")
        line.standin.script(reset_after_accept(), status(500, None), status(400, 21211))
        heard += [body for _, body in line.pass_time(clock.at + timedelta(days=2), timedelta(hours=1))]
        heard += line.text("my purple umbrella") + line.text("please stop texting me")
        line.standin.text_in(f"{line.url}/twilio/inbound", line.phone, "x", signed_url="https://x.invalid/")
        lines = stream.getvalue()

    assert "forged_webhook" in lines, "the log was recorded at all"
    assert heard
    assert not NUMBER.search(lines)
    for body in (*heard, *SAID[1:]):
        assert body not in lines
