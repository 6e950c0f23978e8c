"""Who sent a request, when proxies stand between us and them: as many entries are believed as were declared.

Each proxy appends to X-Forwarded-For the address that spoke to it. The last entries are therefore from our
own proxies, and everything before them is what the visitor chose to send.
"""

from __future__ import annotations

import ipaddress
import re

import structlog
from flask import Flask, Request
from werkzeug.middleware.proxy_fix import ProxyFix

_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::\d{1,5})?")

log = structlog.get_logger(__name__)


def trust_proxies(app: Flask, count: int) -> None:
    """Let `request.remote_addr` be the visitor's, `count` proxies away (TRUSTED_PROXIES); 0 believes none.

    Only the address is taken from headers: our own address comes from PUBLIC_URL.
    """
    if count:
        fixed = ProxyFix(app.wsgi_app, x_for=count, x_proto=0, x_host=0, x_port=0, x_prefix=0)
        app.wsgi_app = fixed  # type: ignore[method-assign]


def client_address(received: Request) -> str:
    """The visitor's address, for counting only; of IPv6 the /64, because a household owns all of it."""
    address = _parse_address(received.remote_addr or "")
    if address is None:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class ProxyWatch:
    """Says once, in one line, when TRUSTED_PROXIES plainly does not fit the requests that come."""

    def __init__(self, declared: int) -> None:
        self._declared = declared
        self._has_told = False

    def look_at(self, received: Request) -> None:
        """Log a warning if this request shows the setting to be wrong. No address is logged."""
        if self._has_told:
            return
        problem = find_mismatch(received, self._declared)
        if problem is not None:
            self._has_told = True
            log.warning("trusted_proxies_mismatch", declared=self._declared, problem=problem)


def find_mismatch(received: Request, declared: int) -> str | None:
    """What is wrong with the number of proxies declared, as far as one request can tell.

    A visitor can invent entries but not leave any out, nor speak from a private address: with none declared,
    a header is proof only from such a peer.
    """
    entries = [part for part in received.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    if len(entries) < declared:
        return "a request came past fewer proxies than TRUSTED_PROXIES says; its sender may invent an address"
    peer = _parse_address(received.remote_addr or "")
    if declared == 0 and entries and peer is not None and not peer.is_global:
        return "a proxy stands in front: while TRUSTED_PROXIES is 0 all visitors count as one"
    return None


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with_port = _WITH_PORT.fullmatch(text.strip())
    try:
        address = ipaddress.ip_address((with_port[1] or with_port[2]) if with_port else text.strip())
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
