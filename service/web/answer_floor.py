"""Answers that take the same time whatever was found."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnswerFloor:
    """Holds an answer back until `seconds` after its request began, or the next multiple of that.

    The default is several times what storing a sign-up takes, so that nearly every answer comes at the floor
    itself; the multiples are for a slow moment, which would otherwise show through. `elapsed` (seconds that
    never go back) and `sleep` are the clock, given so that tests need not wait.
    """

    seconds: float = 0.25
    elapsed: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def hold_since(self, began: float) -> None:
        """Sleep. `began` is what `elapsed` said when the request came. Call it with no transaction open."""
        spent = self.elapsed() - began
        until = max(1, math.ceil(spent / self.seconds)) * self.seconds
        self.sleep(max(0.0, until - spent))
