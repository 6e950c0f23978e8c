"""A text as the webhook delivered it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from service.domain.phone import PhoneNumber
from service.gateways.sms.protocol import ProviderText
from service.store.keyring import Keyring
from service.store.senders import NewInbound


@dataclass(frozen=True, slots=True)
class IncomingText:
    """A text as the webhook delivered it: every form field, nothing dropped.

    `received_at` (aware UTC) is set for a text that never reached us and was found in the provider's records:
    when the provider received it.
    """

    form: Mapping[str, str]
    received_at: datetime | None = None

    @property
    def provider_message_id(self) -> str:
        """The provider's id. A signed text without one is known by what it holds, so a repeat is too."""
        for name in ("MessageSid", "SmsMessageSid", "SmsSid"):
            if value := _plain(self.form.get(name)):
                return value[:64]
        digest = hashlib.sha256(json.dumps(dict(self.form), sort_keys=True).encode("utf-8", "replace"))
        return "none:" + digest.hexdigest()[:40]

    @property
    def body(self) -> str:
        return self.form.get("Body", "")

    @property
    def sender(self) -> str:
        return self.form.get("From", "")

    @property
    def opt_out_type(self) -> str | None:
        return _plain(self.form.get("OptOutType")).upper()[:12] or None

    @property
    def has_media(self) -> bool:
        return self.form.get("NumMedia", "0") not in ("", "0")

    @classmethod
    def from_records(cls, text: ProviderText) -> IncomingText:
        """A text found in the provider's records, in the form in which its webhook would have brought it."""
        form = {
            "MessageSid": text.sid,
            "From": text.sender,
            "To": text.recipient,
            "Body": text.body,
            "NumMedia": str(text.media),
            "SmsStatus": text.status,
        }
        if text.service_sid:
            form["MessagingServiceSid"] = text.service_sid
        return cls(form, text.created_at)

    def as_new_inbound(self, phone: PhoneNumber | None, keyring: Keyring, now: datetime) -> NewInbound:
        """The row to store; `phone` is None for a sender that is no number."""
        return NewInbound(
            provider_message_id=self.provider_message_id,
            sender=self.sender,
            lookup=keyring.hash_newest(phone.e164) if phone else None,
            hashes=keyring.hash_all(phone.e164) if phone else (),
            body=self.body,
            raw=dict(self.form),
            opt_out_type=self.opt_out_type,
            has_media=self.has_media,
            received_at=self.received_at or now,
        )

    def is_from(self, phone: PhoneNumber, our_number: str) -> bool:
        """Whether `phone` is ourselves: our own text coming back."""
        return phone.e164 in (our_number, self.form.get("To"))


def _plain(value: str | None) -> str:
    """A value for a column that is not encrypted: PostgreSQL's texts cannot hold NUL."""
    return (value or "").replace("\0", "")
