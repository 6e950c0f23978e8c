"""What the stand-in sends to the service: signed receipts and signed inbound texts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import requests

from service.domain.twiml import TwimlText
from service.gateways.sms.signature import SIGNATURE_HEADER, sign
from service.gateways.sms.simulator import PostForm, WebAnswer, parse_twiml
from tests.standin.messages import StandinMessage

_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class InboundAnswer:
    """The service's answer to a text: HTTP status, the texts it sends back with their ids, the raw XML."""

    status: int
    texts: list[str]
    xml: str
    sids: list[str]


@dataclass(frozen=True, slots=True)
class ReceiptOrder:
    """How receipts are told: each twice, last one first, each after `delay` seconds."""

    statuses: tuple[str, ...] = ("sent", "delivered")
    error_code: int | None = None
    doubled: bool = False
    reordered: bool = False
    delay: float = 0.0

    def list_statuses(self) -> list[str]:
        statuses = [status for status in self.statuses for _ in range(1 + self.doubled)]
        return statuses[::-1] if self.reordered else statuses


class PooledPoster:
    """Posts forms over kept-alive connections."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False

    def __call__(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> WebAnswer:
        answer = self._session.post(
            url, data=fields, headers=headers, timeout=_TIMEOUT_SECONDS, allow_redirects=False
        )
        return WebAnswer(answer.status_code, answer.headers.get("Content-Type", ""), answer.content)

    def close(self) -> None:
        self._session.close()


class WebhookSender:
    """Signs with the account's token. `reroute` maps the public base URL to where the service really is."""

    def __init__(
        self, account_sid: str, auth_token: str, post: PostForm, reroute: tuple[str, str] | None
    ) -> None:
        self._account_sid = account_sid
        self._token = auth_token
        self._post = post
        self._reroute = reroute

    def post_receipts(self, message: StandinMessage, order: ReceiptOrder) -> list[int]:
        """Post the receipts to the text's own address; return the HTTP statuses. Raises OSError."""
        if message.callback is None:
            return []
        answers = []
        for status in order.list_statuses():
            time.sleep(order.delay)
            fields = {
                "AccountSid": self._account_sid,
                "ApiVersion": "2010-04-01",
                "MessageSid": message.sid,
                "SmsSid": message.sid,
                "MessageStatus": status,
                "SmsStatus": status,
                "To": message.to,
                "From": message.sender,
            }
            if message.service_sid is not None:
                fields["MessagingServiceSid"] = message.service_sid
            if order.error_code is not None and status in {"failed", "undelivered"}:
                fields["ErrorCode"] = str(order.error_code)
            answers.append(self._send(message.callback, message.callback, fields).status)
        return answers

    def post_text(
        self, url: str, signed_url: str, message: StandinMessage, fields: Mapping[str, str]
    ) -> tuple[WebAnswer, list[TwimlText]]:
        """Post an inbound text; return the answer and, of a 2xx, the texts to send back.

        Raises OSError without an answer, CarrierError when a 2xx is not valid TwiML.
        """
        form = {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsMessageSid": message.sid,
            "AccountSid": self._account_sid,
            "From": message.sender,
            "To": message.to,
            "Body": message.body,
            "NumMedia": "0",
            "NumSegments": "1",
            "SmsStatus": "received",
            "ApiVersion": "2010-04-01",
            **{f"{end}{part}": "" for end in ("From", "To") for part in ("City", "State", "Zip", "Country")},
            **({"MessagingServiceSid": message.service_sid} if message.service_sid else {}),
            **fields,
        }
        answer = self._send(url, signed_url, form)
        return answer, parse_twiml(answer) if 200 <= answer.status < 300 else []

    def _send(self, url: str, signed_url: str, form: Mapping[str, str]) -> WebAnswer:
        if self._reroute is not None and url.startswith(self._reroute[0]):
            url = self._reroute[1] + url.removeprefix(self._reroute[0])
        return self._post(url, form, {SIGNATURE_HEADER: sign(signed_url, form, self._token)})
