"""Just enough HTTP/1.1 to be a fast server: keep-alive, one thread a connection, no logging."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Condition, Thread
from typing import Any

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_STOP_SECONDS = 10.0
_PHRASES = {int(status): status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    content_type: str = "application/json"


class DropConnectionError(Exception):
    """Answer nothing and reset the connection."""


class LoopbackServer:
    """Serves `answer` on `host` until stopped; then raises what went wrong inside. Port 0 is a free one."""

    def __init__(self, answer: Callable[[Request], Reply], host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = _Server(answer, host, port)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
        if self._server.errors:
            raise self._server.errors[0]


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answer: Callable[[Request], Reply], host: str, port: int) -> None:
        self.answer = answer
        self.errors: list[BaseException] = []
        self.resets: set[Any] = set()
        self._open: set[Any] = set()
        self._changed = Condition()
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        if request in self.resets:
            self.resets.discard(request)
            request.close()  # without the usual goodbye, so that the other side sees a reset
        else:
            super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def hang_up(self) -> None:
        with self._changed:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
            self._changed.wait_for(lambda: not self._open, _STOP_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError):
            self.errors.append(error)


class _Handler(BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""
        while (request := self._read()) is not None:
            try:
                reply = self.server.answer(request)
            except DropConnectionError:
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                self.server.resets.add(self.request)
                return
            self.request.sendall(_serialize(reply))

    def _read(self) -> Request | None:
        """Read by hand: this is most of what the stand-in does when a benchmark drives it."""
        while (end := self._unread.find(b"\r\n\r\n")) < 0:
            if not self._receive():
                return None
        first, *lines = self._unread[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        end += 4
        length = int(headers.get("content-length", "0"))
        while len(self._unread) < end + length:
            if not self._receive():
                return None
        body, self._unread = self._unread[end : end + length], self._unread[end + length :]
        method, target, _ = first.split(" ", 2)
        return Request(method, target, headers, body, self.client_address[0])

    def _receive(self) -> bool:
        data = self.request.recv(65_536)
        self._unread += data
        return bool(data)


def _serialize(reply: Reply) -> bytes:
    head = (
        f"HTTP/1.1 {reply.status} {_PHRASES[reply.status]}\r\n"
        f"Content-Type: {reply.content_type}\r\n"
        f"Content-Length: {len(reply.body)}\r\n\r\n"
    )
    return head.encode("ascii") + reply.body
