"""One HTTP request a call to the provider: always bounded in time, never repeated, never logged."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from requests import Session
from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response


class ServerFaultError(Exception):
    """An HTTP status that is neither a yes nor a clear no."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class BoundedHttpClient(TwilioHttpClient):  # type: ignore[misc]
    """The library's client with a pool of our size, two time limits and, if asked, another host.

    `max_retries` stays unset: with it the pool setting is lost, and a text must never be posted twice.
    """

    def __init__(self, api_url: str, timeout: tuple[float, float], pool_size: int) -> None:
        super().__init__(logger=_quiet_logger("twilio.http_client", logging.WARNING))
        # urllib3 names the whole address, numbers in its query included, in its debug lines and warnings.
        _quiet_logger("urllib3.connectionpool", logging.ERROR)
        # The constructor takes one number only; requests takes (connect, read), and the two differ in
        # meaning: a text that could not connect surely did not leave.
        self.timeout = timeout
        self.session: Session
        self.session.trust_env = False
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=pool_size))
        self._host = urlsplit(api_url)[:2] if api_url else None

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        """Do one request; raises ServerFaultError so that no body can make a fault look like a no."""
        if self._host is not None:
            url = urlunsplit((*self._host, *urlsplit(url)[2:]))
        response = super().request(method, url, *args, **kwargs)
        if not (200 <= response.status_code < 300 or 400 <= response.status_code < 500):
            raise ServerFaultError(response.status_code)
        return response


def _quiet_logger(name: str, level: int) -> logging.Logger:
    logger = logging.getLogger(name)
    logger.setLevel(level)
    return logger
