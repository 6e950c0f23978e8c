"""The closed set of what can happen when a text is handed to a provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from service.domain.phone import PhoneNumber
from service.domain.provider_answers import AnswerClass


@dataclass(frozen=True, slots=True)
class OutgoingSms:
    """One try at one text.

    `reference` is random and names nothing; it is part of `status_callback`, so that the provider's
    receipts say which try they are about. `validity_seconds` (1 to 36000) lets the carrier drop a text
    that would arrive too late to help.
    """

    to: PhoneNumber
    body: str
    reference: str
    status_callback: str
    validity_seconds: int | None = None

    def __repr__(self) -> str:
        return f"OutgoingSms(reference={self.reference!r})"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has the text and named it."""

    provider_message_id: str
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider surely does not have the text (4xx, 429, connection refused, connect time-out)."""

    answer: AnswerClass
    code: int | None
    http_status: int | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The text may or may not be with the provider (read time-out, reset, 5xx). Never resent blindly."""

    detail: str
    http_status: int | None = None


SendOutcome = Accepted | Rejected | Unknown


class SmsTransport(Protocol):
    """A provider. `send` never raises for anything the network or the provider does."""

    name: str

    def send(self, sms: OutgoingSms) -> SendOutcome: ...
