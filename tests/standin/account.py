"""The account as Twilio's API shows it: its state, its numbers and its messaging services."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

ACCOUNT_SID = "AC" + "5" * 32
AUTH_TOKEN = "token-of-the-stand-in"
SERVICE_SID = "MG" + "5" * 32
NUMBER_SID = "PN" + "5" * 32
NUMBER = "+12025550100"

_ACCOUNT = f"/2010-04-01/Accounts/{ACCOUNT_SID}.json"
_NUMBERS = f"/2010-04-01/Accounts/{ACCOUNT_SID}/IncomingPhoneNumbers.json"
_SERVICE = re.compile(r"/v1/Services/(?P<sid>MG[0-9a-f]{32})(?P<numbers>/PhoneNumbers)?")

Shown = dict[str, Any]


def _number() -> Shown:
    return {
        "sid": NUMBER_SID,
        "account_sid": ACCOUNT_SID,
        "phone_number": NUMBER,
        "friendly_name": "stand-in",
        "sms_url": "",
        "sms_method": "POST",
        "sms_fallback_url": "",
        "sms_fallback_method": "POST",
        "sms_application_sid": "",
        "status_callback": "",
        "capabilities": {"sms": True, "mms": True, "voice": True},
    }


def _service() -> Shown:
    return {
        "sid": SERVICE_SID,
        "account_sid": ACCOUNT_SID,
        "friendly_name": "stand-in",
        "inbound_request_url": None,
        "inbound_method": "POST",
        "fallback_url": None,
        "fallback_method": "POST",
        "status_callback": None,
        "use_inbound_webhook_on_number": False,
    }


@dataclass(slots=True)
class AccountSetup:
    """What a test may change: `account`, the `numbers`, the `services`, each as the API shows it.

    `senders` are the ids of the numbers in each service's pool.
    """

    account: Shown = field(
        default_factory=lambda: {
            "sid": ACCOUNT_SID,
            "status": "active",
            "type": "Full",
            "friendly_name": "stand-in",
        }
    )
    numbers: list[Shown] = field(default_factory=lambda: [_number()])
    services: dict[str, Shown] = field(default_factory=lambda: {SERVICE_SID: _service()})
    senders: dict[str, list[str]] = field(default_factory=lambda: {SERVICE_SID: [NUMBER_SID]})

    def find(self, target: str) -> Shown | None:
        """What a GET of this path and query shows; None where there is nothing."""
        split = urlsplit(target)
        if split.path == _ACCOUNT:
            return self.account
        if split.path == _NUMBERS:
            wanted = parse_qs(split.query).get("PhoneNumber", [None])[0]
            found = [n for n in self.numbers if wanted in (None, n["phone_number"])]
            return _page("incoming_phone_numbers", found, target)
        route = _SERVICE.fullmatch(split.path)
        if route is None or route["sid"] not in self.services:
            return None
        if route["numbers"] is None:
            return self.services[route["sid"]]
        pool = self.senders.get(route["sid"], [])
        found = [n for n in self.numbers if n["sid"] in pool]
        meta = {"key": "phone_numbers", "page": 0, "page_size": 50, "next_page_url": None, "url": target}
        return {"phone_numbers": found, "meta": meta | {"first_page_url": target, "previous_page_url": None}}


def _page(name: str, found: list[Shown], target: str) -> Shown:
    return {
        name: found,
        "page": 0,
        "page_size": 50,
        "start": 0,
        "end": max(0, len(found) - 1),
        "uri": target,
        "first_page_uri": target,
        "next_page_uri": None,
        "previous_page_uri": None,
    }
