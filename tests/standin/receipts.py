"""What may go wrong with the receipts that the stand-in sends by itself."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

DELIVERED = ("sent", "delivered")


@dataclass(frozen=True, slots=True)
class ReceiptChances:
    """Probabilities. `failures` are (status, code, probability); `undelivered` left and did not arrive.

    `lost` is drawn for each receipt; the rest once a text. A late one comes after some of `late_seconds`.
    """

    late: float = 0.0
    late_seconds: tuple[float, float] = (0.5, 5.0)
    doubled: float = 0.0
    reordered: float = 0.0
    lost: float = 0.0
    failures: tuple[tuple[str, int, float], ...] = ()

    def draw(self, random: Random) -> ReceiptFate:
        """Decide what becomes of one text and of what is told about it."""
        statuses, code = self._draw_statuses(random)
        told = [status for status in statuses if random.random() >= self.lost]
        if random.random() < self.doubled:
            told = [status for status in told for _ in range(2)]
        if random.random() < self.reordered:
            told.reverse()
        delay = random.uniform(*self.late_seconds) if random.random() < self.late else 0.0
        return ReceiptFate(statuses, code, tuple(told), delay)

    def _draw_statuses(self, random: Random) -> tuple[tuple[str, ...], int | None]:
        draw = random.random()
        for status, code, probability in self.failures:
            if draw < probability:
                return (("failed",) if status == "failed" else ("sent", status)), code
            draw -= probability
        return DELIVERED, None


@dataclass(frozen=True, slots=True)
class ReceiptFate:
    """What truly becomes of a text (`statuses`), and which receipts are sent, `delay` seconds later."""

    statuses: tuple[str, ...]
    error_code: int | None
    told: tuple[str, ...]
    delay: float


NOTHING_WRONG = ReceiptChances()
