"""The simulated carrier: takes texts, keeps a ledger of its own, and says later what became of some."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from service.domain.provider_answers import AnswerClass
from service.domain.segments import count_segments
from service.domain.year.rates import rate
from service.gateways.sms.protocol import Accepted, OutgoingSms, Rejected, SendOutcome, Unknown
from service.store.clock import Clock
from service.usecases.sending.receipts import Receipt

STOPPED_AT_CARRIER, NO_SUCH_HANDSET, HANDSET_OFF = 21610, 30005, 30003
NOT_A_NUMBER = 21211


@dataclass(frozen=True, slots=True)
class Line:
    """Somebody's telephone: until when texts arrive, and from when the carrier refuses them (aware UTC)."""

    person: int
    lost_at: datetime | None
    refused_at: datetime | None


@dataclass(frozen=True, slots=True)
class Handed:
    """A text that was handed over. The words stay here: no result holds them."""

    person: int
    at: datetime
    reference: str
    body: str
    segments: int
    has_arrived: bool
    was_refused: bool
    receipt: Receipt | None


class PaperCarrier:
    """Takes texts to the numbers it was given lines for. Safe to share between threads.

    What becomes of a text is drawn from the seed, the person, the words and the moment: never from the order
    in which threads hand texts over.
    """

    name = "simulated year"

    def __init__(self, seed: int, lines: Mapping[str, Line], clock: Clock) -> None:
        self._seed = seed
        self._lines = lines
        self._clock = clock
        self._lock = Lock()
        self._fresh: list[Handed] = []
        self._taken = 0

    def send(self, sms: OutgoingSms) -> SendOutcome:
        """Take a text, refuse it, or leave it unclear whether it was taken."""
        line = self._lines.get(sms.to.e164)
        if line is None:
            return Rejected(AnswerClass.PERMANENT, NOT_A_NUMBER, 400)
        at = self._clock()
        outcome, status = self._decide(line, sms, at)
        is_refused = isinstance(outcome, Rejected)
        code = {"undelivered": HANDSET_OFF, "lost": NO_SUCH_HANDSET}.get(status)
        word = "undelivered" if code else status
        receipt = Receipt(sms.reference, None, word, code) if word else None
        handed = Handed(
            person=line.person,
            at=at,
            reference=sms.reference,
            body=sms.body,
            segments=count_segments(sms.body).segments,
            has_arrived=not is_refused and code is None,
            was_refused=is_refused,
            receipt=receipt,
        )
        with self._lock:
            self._fresh.append(handed)
        return outcome

    def take_fresh(self) -> list[Handed]:
        """What was handed over since this was asked last, in an order that no thread decides."""
        with self._lock:
            fresh, self._fresh = self._fresh, []
        return sorted(fresh, key=lambda handed: (handed.at, handed.person, handed.body))

    def _decide(self, line: Line, sms: OutgoingSms, at: datetime) -> tuple[SendOutcome, str]:
        if line.refused_at is not None and at >= line.refused_at:
            return Rejected(AnswerClass.CONSENT, STOPPED_AT_CARRIER, 400), ""
        if line.lost_at is not None and at >= line.lost_at:
            return self._accept(), "lost"
        drawn = draw_share(self._seed, line.person, sms.body, at)
        if drawn < rate("undelivered"):
            return self._accept(), "undelivered"
        drawn -= rate("undelivered")
        if drawn < rate("no_clear_answer"):
            return Unknown("simulated time-out"), "delivered"
        drawn -= rate("no_clear_answer")
        return self._accept(), "delivered" if drawn < rate("reported_delivered") else ""

    def _accept(self) -> Accepted:
        with self._lock:
            self._taken += 1
            return Accepted(f"SM{self._taken:032x}")


def draw_share(seed: int, person: int, words: str, at: datetime) -> float:
    """A number from 0 to 1 that is the same wherever and in whatever order it is drawn."""
    name = f"{seed}|{person}|{at.isoformat()}|{words}"
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") / 2**64


def digest_of(words: str) -> str:
    """What stands for words in the ledger."""
    return hashlib.blake2b(words.encode(), digest_size=8).hexdigest()
