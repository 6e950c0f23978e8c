"""The closed set of what can happen when a text is handed to a provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
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


class LookupFailedError(Exception):
    """The provider could not be asked; says only what kind of failure it was.

    `is_refused`: it answered that it will not or cannot tell, so asking again soon is no use. `is_too_long`:
    it does answer, but with more than is read in one go; asking about less time may help.
    """

    def __init__(self, message: str, *, is_refused: bool = False, is_too_long: bool = False) -> None:
        super().__init__(message)
        self.is_refused = is_refused
        self.is_too_long = is_too_long


@dataclass(frozen=True, slots=True)
class ProviderText:
    """One text as the provider remembers it; `created_at` is aware UTC. A redacted text has an empty body."""

    sid: str
    direction: str
    status: str
    body: str = field(repr=False)
    created_at: datetime
    error_code: int | None
    sender: str = field(repr=False)
    recipient: str = field(default="", repr=False)
    service_sid: str | None = None
    media: int = 0


class ProviderRecords(Protocol):
    """What the provider remembers of its texts. Every call raises LookupFailedError and nothing else."""

    def list_texts_to(self, to: PhoneNumber, since: datetime) -> list[ProviderText]:
        """Every text to a number created since then (aware UTC), ours and automatic replies alike.

        Complete back to `since`, or it raises.
        """
        ...

    def fetch(self, provider_message_id: str) -> ProviderText | None:
        """One text, or None if the provider does not have it."""
        ...

    def list_texts_in(self, since: datetime, until: datetime | None = None) -> list[ProviderText]:
        """Every text that came in for us since then, oldest first, and up to `until` if given (aware UTC).

        Complete, or it raises; bounded in requests and time.
        """
        ...
