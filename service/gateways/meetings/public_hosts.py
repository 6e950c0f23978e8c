"""Connections that can only lead to the public internet.

A name may answer differently each time it is looked up ("DNS rebinding"), and a library that is handed a
checked name looks it up again. Therefore a name is looked up once, every address of that answer is judged,
and the socket is connected to exactly those addresses. Certificates are still checked against the name,
by whoever wraps the socket.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Final

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_IPV6_UNICAST: Final = ipaddress.ip_network("2000::/3")
_NOT_REACHABLE: Final = tuple(
    ipaddress.ip_network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "2002::/16", "3fff::/20")
)
"""What the standard library of some Python takes for global: protocol assignments, the old relays of 6to4
and all that leads through them, documentation. Source: IANA's special-purpose address registries.
"""


class NotPublicError(Exception):
    """The name stands for an address that is not on the public internet."""


def connect(host: str, port: int, *, allow_private: bool, seconds_left: Callable[[], float]) -> socket.socket:
    """Connect to a host by TCP, trying its addresses in turn.

    `seconds_left` is asked before each try and bounds it; it may raise. Raises NotPublicError when any
    address of the host is not public, unless `allow_private`; OSError when no connection came about.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not allow_private and not all(is_public(str(address[0])) for *_, address in found):
        raise NotPublicError
    failure = OSError()
    for family, kind, protocol, _, address in found:
        timeout = seconds_left()
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(timeout)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet: not private, loopback, link-local or reserved.

    An IPv6 address that is a known spelling of an IPv4 one (mapped, or translated by the well-known prefix)
    is judged by that. Otherwise only 2000::/3 is public, the one block that IANA has given out: so nothing
    that embeds an address in another way, a network's own translation prefix included, leads inside.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None or ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip not in _IPV6_UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in block for block in _NOT_REACHABLE)
