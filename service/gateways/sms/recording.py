"""A provider for tests and simulations: keeps what it was given and answers as told."""

from __future__ import annotations

from collections import deque
from threading import Lock

from service.gateways.sms.protocol import Accepted, OutgoingSms, SendOutcome


class RecordingTransport:
    """Answers with the scripted outcomes in order, then accepts everything. Safe to share between threads."""

    name = "recording"

    def __init__(self, *outcomes: SendOutcome) -> None:
        self._lock = Lock()
        self._sent: list[OutgoingSms] = []
        self._outcomes = deque(outcomes)

    @property
    def sent(self) -> list[OutgoingSms]:
        """Every try so far, oldest first, whatever was answered."""
        with self._lock:
            return list(self._sent)

    def script(self, *outcomes: SendOutcome) -> None:
        """Append answers for the next tries."""
        with self._lock:
            self._outcomes.extend(outcomes)

    def send(self, sms: OutgoingSms) -> SendOutcome:
        """Keep `sms`; return the next scripted outcome, or Accepted with an id counted from 1."""
        with self._lock:
            self._sent.append(sms)
            if self._outcomes:
                return self._outcomes.popleft()
            return Accepted(f"SM{len(self._sent):032x}", segments=1)
