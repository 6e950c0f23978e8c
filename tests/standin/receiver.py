"""A service that only listens: keeps every webhook it gets, checks its signature, answers as told."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Self
from urllib.parse import parse_qsl

from service.gateways.sms.signature import is_signed
from tests.standin.wire import LoopbackServer, Reply, Request

EMPTY = Reply(204)


def twiml(xml: str) -> Reply:
    """Answer with these contents of a `<Response>`."""
    return Reply(
        200, f'<?xml version="1.0" encoding="UTF-8"?><Response>{xml}</Response>'.encode(), "text/xml"
    )


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook that arrived: path with query, form, whether the signature was right."""

    target: str
    form: dict[str, str]
    is_signed: bool


class WebhookReceiver:
    """Listens on loopback as a context manager; `answer` is what every webhook gets."""

    def __init__(self, token: str, public_url: str | None = None) -> None:
        self._token = token
        self._lock = Lock()
        self._webhooks: list[Webhook] = []
        self.answer = EMPTY
        self._server = LoopbackServer(self._take)
        self.public_url = public_url or self._server.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def webhooks(self) -> list[Webhook]:
        with self._lock:
            return list(self._webhooks)

    def statuses(self) -> list[str]:
        """List the MessageStatus of every receipt, in order of arrival."""
        return [webhook.form["MessageStatus"] for webhook in self.webhooks if "MessageStatus" in webhook.form]

    def _take(self, request: Request) -> Reply:
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        signature = request.headers.get("x-twilio-signature")
        good = is_signed(self.public_url + request.target, form, signature, [self._token])
        with self._lock:
            self._webhooks.append(Webhook(request.target, form, good))
        return self.answer
