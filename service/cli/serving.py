"""The development server, which lets what it is answering finish before it ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable
from types import FrameType
from typing import TYPE_CHECKING

from werkzeug.serving import make_server
from werkzeug.wsgi import ClosingIterator

from service.cli.output import CliError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FINISH_SECONDS = 20.0
"""As long as the provider would wait for its answer, and a little more."""


class DevelopmentServer:
    """Serves an application on a port of this machine. Raises CliError when somebody else has the port."""

    def __init__(self, app: WSGIApplication, port: int) -> None:
        self._under_way = _UnderWay(app)
        try:
            self._server = make_server("127.0.0.1", port, self._under_way, threaded=True)
        except (OSError, SystemExit):
            raise CliError(f"port {port} is in use; choose another with --port") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_port

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests, and wait for those under way, but not without end."""
        self._server.shutdown()
        self._thread.join()
        self._under_way.wait(FINISH_SECONDS)
        self._server.server_close()


def wait_for_signal() -> None:
    """Wait for Ctrl-C or SIGTERM. A second one ends the process at once."""
    asked = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    for number in before:
        signal.signal(number, ask)
    asked.wait()
    for number, handler in before.items():
        signal.signal(number, handler)


class _UnderWay:
    """Counts the requests that are being answered."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._count = 0
        self._changed = threading.Condition()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self._add(1)
        try:
            answer = self._app(environ, start_response)
        except BaseException:
            self._add(-1)
            raise
        return ClosingIterator(answer, lambda: self._add(-1))

    def wait(self, seconds: float) -> bool:
        """Whether all of them were answered in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, seconds)

    def _add(self, change: int) -> None:
        with self._changed:
            self._count += change
            self._changed.notify_all()
