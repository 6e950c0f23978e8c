"""Fetches a listing from a file or from the web, within limits of time and size.

Staff type the address, and the machine that fetches stands inside a network. So that an address cannot be
used to look around in there, only public hosts are spoken to (see `public_hosts`); every redirect is checked
anew. Proxies named in the environment are not used: behind one nobody knows which address is spoken to.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from service.gateways.meetings.public_hosts import NotPublicError, connect

MAX_BYTES: Final = 50_000_000
TIMEOUT_SECONDS: Final = 10.0
MAX_REDIRECTS: Final = 3

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}
_UNQUOTED: Final = "/%:?@[]!$&'()*+,;=~"
_CHUNK: Final = 65_536


class SourceError(Exception):
    """Nothing could be fetched; the message says why in one line and names no more than the host."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """`own_host` may be private, no other; `deadline` is on the monotonic clock, in seconds."""

    own_host: str | None
    max_bytes: int
    timeout: float
    deadline: float

    def left(self) -> float:
        """Seconds until the deadline. Raises SourceError when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise SourceError(f"the listing did not arrive within {self.timeout:g} seconds")
        return left


def load_source(
    location: str,
    *,
    allow_private: bool = False,
    max_bytes: int = MAX_BYTES,
    timeout: float = TIMEOUT_SECONDS,
) -> bytes:
    """Read a file by its path, or an address that begins with http:// or https://. Raises SourceError.

    For operators: it reads any file that the process may read. What comes from a web form goes to
    `load_url`. `timeout` bounds the whole fetch in seconds, redirects included; only the look-up of a name
    is left to the limits of the system's resolver.
    """
    if _URL.match(location):
        return load_url(location, allow_private=allow_private, max_bytes=max_bytes, timeout=timeout)
    return _load_file(location, max_bytes)


def load_url(
    url: str,
    *,
    allow_private: bool = False,
    max_bytes: int = MAX_BYTES,
    timeout: float = TIMEOUT_SECONDS,
) -> bytes:
    """Fetch an address with GET, following at most 3 redirects; see `load_source`. Raises SourceError.

    `allow_private` is for the host of `url` alone: a redirect from it to another one inside is refused.
    """
    own_host = _split(url).hostname if allow_private else None
    limits = _Limits(own_host, max_bytes, timeout, time.monotonic() + timeout)
    for _ in range(MAX_REDIRECTS + 1):
        parts = _split(url)
        with _open(parts, limits) as response:
            if response.status not in _REDIRECTS:
                return _read(response, parts, limits)
            target = response.headers.get("Location")
        if not target:
            raise SourceError(f"{_host(parts)} redirects to nowhere")
        url = _join(url, target, parts)
    raise SourceError(f"{_host(parts)} redirects more than {MAX_REDIRECTS} times")


def _load_file(location: str, max_bytes: int) -> bytes:
    shown = location if location.isprintable() else repr(location)
    try:
        path = Path(location)
        if path.is_dir():
            raise SourceError(f"{shown} is a directory, not a file")
        if path.exists() and not path.is_file():
            raise SourceError(f"{shown} is not a regular file")
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise SourceError(f"there is no file {shown}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise SourceError(f"{shown} cannot be read: {reason}") from None
    if len(content) > max_bytes:
        raise SourceError(_too_large(max_bytes))
    return content


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SourceError("this is not a web address that can be read") from None
    if parts.scheme not in _PORTS:
        raise SourceError("only http:// and https:// addresses are fetched")
    if not parts.hostname:
        raise SourceError("the web address names no host")
    return parts


def _join(url: str, target: str, parts: SplitResult) -> str:
    try:
        return urljoin(url, target)
    except ValueError:
        raise SourceError(f"{_host(parts)} redirects to something that is no web address") from None


def _host(parts: SplitResult) -> str:
    """What may be shown of an address: user, password, path and query may all be secrets."""
    host = parts.hostname or ""
    return host if host.isprintable() else repr(host)


def _too_large(max_bytes: int) -> str:
    return f"the listing is larger than {max_bytes:,} bytes"


@contextmanager
def _open(parts: SplitResult, limits: _Limits) -> Iterator[HTTPResponse]:
    """Connect, ask, and give the answer, its body still to be read."""
    try:
        with (
            connect(
                parts.hostname or "",
                _port(parts),
                allow_private=parts.hostname == limits.own_host,
                seconds_left=limits.left,
            ) as sock,
            _cut_at_deadline(sock, limits),
            _secure(sock, parts) as stream,
        ):
            connection = HTTPConnection(parts.hostname or "", _port(parts))
            connection.default_port = _PORTS[parts.scheme]
            connection.sock = stream
            connection.request("GET", _target(parts), headers=_headers(parts))
            with connection.getresponse() as response:
                yield response
    except NotPublicError:
        raise SourceError(f"{_host(parts)} is not on the public internet, so it is not fetched") from None
    except (OSError, HTTPException, ValueError) as error:
        limits.left()
        raise SourceError(f"{_host(parts)} gave no usable answer: {_say(error)}") from None


@contextmanager
def _cut_at_deadline(sock: socket.socket, limits: _Limits) -> Iterator[None]:
    """Cut the connection at the deadline, whatever it is waiting for.

    A time-out of the socket alone would not do: it starts again with every byte that drips in. The second
    handle stays valid when TLS takes the first one over.
    """
    with sock.dup() as handle:
        timer = threading.Timer(limits.left(), _cut, [handle])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _cut(handle: socket.socket) -> None:
    with suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


def _secure(sock: socket.socket, parts: SplitResult) -> socket.socket:
    if parts.scheme == "http":
        return sock
    context = ssl.create_default_context()
    # Small containers come without certificates of their own.
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context.wrap_socket(sock, server_hostname=parts.hostname)


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]


def _target(parts: SplitResult) -> str:
    path, query = quote(parts.path or "/", safe=_UNQUOTED), quote(parts.query, safe=_UNQUOTED)
    return f"{path}?{query}" if query else path


def _headers(parts: SplitResult) -> dict[str, str]:
    headers = {"User-Agent": "aftercare", "Accept": "*/*", "Connection": "close"}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    return headers


def _read(response: HTTPResponse, parts: SplitResult, limits: _Limits) -> bytes:
    if response.status != HTTPStatus.OK:
        raise SourceError(f"{_host(parts)} answered with status {response.status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise SourceError(f"{_host(parts)} sent a compressed answer, which was not asked for")
    expected = response.length
    content = bytearray()
    while (expected or 0) <= limits.max_bytes and (chunk := response.read(_CHUNK)):
        content += chunk
        if len(content) > limits.max_bytes:
            break
    limits.left()
    if max(expected or 0, len(content)) > limits.max_bytes:
        raise SourceError(_too_large(limits.max_bytes))
    if expected is not None and len(content) < expected:
        raise SourceError(f"{_host(parts)} stopped before the end of its answer")
    return bytes(content)


def _say(error: Exception) -> str:
    """The kind of failure. The text of the error itself may repeat the address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate cannot be trusted"
    if isinstance(error, ssl.SSLError):
        return "no secure connection came about"
    if isinstance(error, socket.gaierror):
        return "the name is unknown"
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, IncompleteRead):
        return "it stopped before the end of its answer"
    return "it does not speak HTTP"
