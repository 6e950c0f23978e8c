"""gunicorn's settings besides those in the Procfile: its own log lines, and what a stalled client may hold.

Read with `gunicorn -c python:service.web.gunicorn_config`.
"""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import suppress
from typing import Any

from gunicorn.glogging import Logger

from service.config import ConfigError, load_settings
from service.logs import build_formatter

SILENCE_SECONDS = 5.0
"""A body that stops coming for so long is given up: on its own, gunicorn would hold the thread for ever."""

UNREAD_BYTES = 64 * 1024
"""So much of a body that the application did not want is taken from the wire, to keep the connection."""

try:
    _settings = load_settings()
except ConfigError as error:
    sys.exit(f"aftercare: {error}")


class FilteredLogger(Logger):  # type: ignore[misc]
    """gunicorn's lines in our format, without numbers and without what was in the request."""

    def setup(self, cfg: Any) -> None:
        """Called at start and at every reload, whatever gunicorn was told about where its lines go."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.setLevel(max(log.level, logging.INFO))  # its debug lines quote requests
            log.addFilter(_forget_request)
            for handler in log.handlers:
                handler.setFormatter(build_formatter(_settings.log_format))


def _forget_request(record: logging.LogRecord) -> bool:
    """What gunicorn could not read or answer may be what somebody wrote: say only of what kind it was."""
    said = str(record.msg)
    if said.startswith("Invalid request"):
        record.msg = f"Invalid request: {type(sys.exception()).__name__}"
    elif said.startswith("Error handling request"):
        record.msg, record.args = "Error handling request", ()
    elif said.startswith("Listening at") and isinstance(record.args, tuple):
        record.msg, record.args = "Listening at: %s", record.args[:1]  # with the pid it looks like a number
    return True


logger_class = FilteredLogger
loglevel = _settings.log_level.lower()
control_socket_disable = True
"""Nobody steers a running server: one door less."""
access_log_format = "%(s)s %(M)sms %(m)s %(U)s"
"""Status, duration, method and path, should an operator ask for an access log: no query, no address."""


def pre_request(_worker: Any, request: Any) -> None:
    """From here on the client is waited for, but not without end."""
    request.unreader.sock.settimeout(SILENCE_SECONDS)


def post_request(_worker: Any, _request: Any, environ: dict[str, Any], _response: Any) -> None:
    """Wait for no rest of a body that was answered unread; what has come already is dropped.

    gunicorn itself would wait several seconds for it, in a thread that others need.
    """
    body, wire = environ.get("wsgi.input"), environ.get("gunicorn.socket")
    if body is None or wire is None:
        return
    is_all_read = False
    with suppress(Exception):  # not all of it is here, or it is no body at all
        wire.setblocking(False)
        is_all_read = len(body.read(UNREAD_BYTES)) < UNREAD_BYTES
    if not is_all_read:
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RD)
