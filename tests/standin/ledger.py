"""What the stand-in truly knows, as plain values: requests as they came, texts as they ended."""

from __future__ import annotations

from typing import NamedTuple, Self

from tests.standin.messages import StandinMessage, reference_of


class CreateRequest(NamedTuple):
    """A request to send a text: when it arrived (stand-in's clock, since 1970), to whom, the fault it met.

    `peer` is the address it came from.
    """

    at: float
    to: str
    reference: str | None
    fault: str
    peer: str = ""


class PhoneText(NamedTuple):
    """A text the provider took; `final_at` is when its fate was sealed (seconds since 1970)."""

    sid: str
    to: str
    reference: str | None
    direction: str
    status: str
    error_code: int | None
    at: float
    final_at: float | None

    @classmethod
    def of(cls, message: StandinMessage) -> Self:
        return cls(
            message.sid,
            message.to,
            reference_of(message.callback),
            message.direction,
            message.status,
            message.error_code,
            message.created_at.timestamp(),
            message.final_at.timestamp() if message.final_at else None,
        )

    @property
    def surely_did_not_arrive(self) -> bool:
        return self.status in {"failed", "undelivered"}
