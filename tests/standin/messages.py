"""The texts the stand-in knows of, and how Twilio's API shows them."""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from threading import Lock
from typing import Any, TypedDict

_REFERENCE = re.compile(r"[?&]ref=([^&#]*)")
FINAL_STATUSES = frozenset({"delivered", "undelivered", "failed", "received"})


class AcceptedText(TypedDict):
    """A text taken through the API; `reference` is the `ref` of its receipt address, `at` is UTC."""

    to: str
    body: str
    sid: str
    reference: str | None
    at: datetime
    validity_seconds: int | None


def new_sid(prefix: str = "SM") -> str:
    """Return a fresh id such as Twilio's: two letters, 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


def reference_of(callback: str | None) -> str | None:
    """Return the `ref` in a receipt address."""
    found = _REFERENCE.search(callback or "")
    return found[1] if found else None


@dataclass(slots=True)
class StandinMessage:
    """One text: `direction` is outbound-api, outbound-reply or inbound."""

    direction: str
    to: str
    sender: str
    body: str
    status: str
    created_at: datetime
    callback: str | None = None
    service_sid: str | None = None
    error_code: int | None = None
    sent_at: datetime | None = None
    final_at: datetime | None = None
    sid: str = field(default_factory=new_sid)

    def as_json(self, account_sid: str) -> dict[str, Any]:
        """Show the text as the API does. With a service the sender, and so the segments, come later."""
        return {
            "account_sid": account_sid,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": _show(self.created_at),
            "date_sent": _show(self.sent_at) if self.sent_at else None,
            "date_updated": _show(self.sent_at or self.created_at),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": None,
            "from": None if self.status == "accepted" else self.sender,
            "messaging_service_sid": self.service_sid,
            "num_media": "0",
            "num_segments": "0" if self.status == "accepted" else str(1 + len(self.body) // 154),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {},
            "to": self.to,
            "uri": f"/2010-04-01/Accounts/{account_sid}/Messages/{self.sid}.json",
        }


@lru_cache(maxsize=8)
def _show_second(instant: datetime) -> str:
    return format_datetime(instant)


def _show(instant: datetime) -> str:
    return _show_second(instant.replace(microsecond=0))


class MessageBook:
    """Every text in the order it came. Safe to share between threads."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._messages: dict[str, StandinMessage] = {}
        self._by_number: dict[str, list[StandinMessage]] = defaultdict(list)
        self._accepted: list[AcceptedText] = []

    @property
    def accepted(self) -> list[AcceptedText]:
        with self._lock:
            return list(self._accepted)

    @property
    def taken(self) -> int:
        with self._lock:
            return len(self._accepted)

    def accept(self, message: StandinMessage, validity_seconds: int | None) -> None:
        """Keep a text that came through the API."""
        taken = AcceptedText(
            to=message.to,
            body=message.body,
            sid=message.sid,
            reference=reference_of(message.callback),
            at=message.created_at,
            validity_seconds=validity_seconds,
        )
        with self._lock:
            self._messages[message.sid] = message
            self._by_number[message.to].append(message)
            self._accepted.append(taken)

    def keep(self, message: StandinMessage) -> None:
        """Keep a text that did not come through the API; one that is known stays as it is."""
        with self._lock:
            if message.sid not in self._messages:
                self._messages[message.sid] = message
                self._by_number[message.to].append(message)

    def find(self, sid: str) -> StandinMessage | None:
        with self._lock:
            return self._messages.get(sid)

    def remove(self, sid: str) -> bool:
        with self._lock:
            message = self._messages.pop(sid, None)
            if message is not None:
                self._by_number[message.to].remove(message)
            return message is not None

    def newest_first(self, to: str | None = None, sender: str | None = None) -> Iterator[StandinMessage]:
        with self._lock:
            known = self._messages.values() if to is None else self._by_number.get(to, [])
            messages = list(reversed(known))
        return (message for message in messages if sender is None or message.sender == sender)

    def move(self, message: StandinMessage, status: str, error_code: int | None) -> None:
        """Set the status a receipt tells of; never away from a final one."""
        with self._lock:
            if message.status not in FINAL_STATUSES:
                message.status = status
                message.error_code = error_code
                message.sent_at = message.sent_at or self._clock()
                if status in FINAL_STATUSES:
                    message.final_at = self._clock()
