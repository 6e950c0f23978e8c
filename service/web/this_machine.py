"""Does this request come from this machine itself? For what is open without signing in.

A loopback peer alone does not say so. A proxy or tunnel on this machine speaks for others, and says it in a
header. And a web page elsewhere may point its own name at 127.0.0.1 (DNS rebinding): the visitor's browser
then sends us that page's requests, lets the page read the answers, and names the foreign name as the host.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address

from flask import request

_FORWARDING = re.compile(
    r"forward|originating|remote-?addr"
    r"|(?:real|client|connecting|cluster|remote|user)-?ip"
    r"|^(?:via|cdn-loop|x-host)$"
    r"|^(?:cf|fastly|fly|proxy|x-original|x-proxy|x-rewrite|x-envoy|x-azure)-",
    re.IGNORECASE,
)
"""Names of the headers with which proxies, tunnels and delivery networks tell for whom they speak."""

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::\d{1,5})?")


def is_from_this_machine() -> bool:
    """Whether the current request was made here, to a name that can only mean here, and by nobody's order."""
    return (
        _is_loopback(request.remote_addr or "")
        and _is_loopback_host(request.headers.get("Host", ""))
        and not any(_FORWARDING.search(name) for name, _ in request.headers)
    )


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback


def _is_loopback_host(host: str) -> bool:
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = (found[1] or found[2]).lower()
    # Nobody can own a name under .localhost (RFC 6761, section 6.3).
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)
