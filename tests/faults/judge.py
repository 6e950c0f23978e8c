"""Comparing what the provider truly took with what the database says. Pure: values in, a verdict out.

Knows nothing of the service's own rules on purpose: hours, stops and doubles are judged by a few lines of its
own. All instants are seconds since 1970 by the true clock.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.standin.ledger import CreateRequest, PhoneText

GRACE_SECONDS = 1.0
"""How long a text may be on its way to the provider when a stop or the end of the hours overtakes it."""

_SENT = frozenset({"accepted", "sent", "delivered", "undelivered"})
_OVER = frozenset({"delivered", "undelivered", "failed", "canceled", "expired", "unresolved"})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a phone and the hours in which it may ring, by the wall clock of `zone`."""

    phone: str
    zone: str
    opens: time = time(9)
    closes: time = time(20)
    sunday_opens: time = time(12)

    def seconds_outside(self, at: float) -> float:
        """0 inside the hours, else how far away the nearest edge of that day is (at most twelve hours)."""
        local = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(self.zone))
        opens = max(self.opens, self.sunday_opens) if local.weekday() == 6 else self.opens
        second = _second_of_day(local.time())
        if _second_of_day(opens) <= second < _second_of_day(self.closes):
            return 0.0
        since = (second - _second_of_day(self.closes)) % 86_400
        until = (_second_of_day(opens) - second) % 86_400
        return max(min(since, until), 0.001)


def _second_of_day(at: time) -> float:
    return at.hour * 3600 + at.minute * 60 + at.second + at.microsecond / 1e6


@dataclass(frozen=True, slots=True)
class IntendedText:
    """A message row at the end of the run. `has_task` says whether staff have it on their list."""

    id: int
    key: str
    phone: str
    kind: str
    state: str
    reason: str | None
    send_after: float
    due_at: float
    has_task: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """A person told us to stop; `answered_at` is when our whole answer was with the provider, if ever."""

    phone: str
    answered_at: float | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a verdict is made from. `tries` gives the text's id by the reference of its try.

    `expected_keys` are texts that were meant to be, known from outside the database.
    """

    people: Sequence[Person]
    texts: Sequence[IntendedText]
    tries: dict[str, int]
    requests: Sequence[CreateRequest]
    taken: Sequence[PhoneText]
    stops: Sequence[Stop]
    expected_keys: frozenset[str]
    faults_began_at: float
    faults_ended_at: float
    ended_at: float


@dataclass(slots=True)
class Verdict:
    """What was found. Lists hold one line a case, without numbers; the four of `must_be_0` decide."""

    due: int = 0
    sent_once: int = 0
    sent_again: int = 0
    never_taken: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    unresolved: Counter[str] = field(default_factory=Counter)
    twice: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    after_stop: list[str] = field(default_factory=list)
    outside_hours: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    misrecorded: list[str] = field(default_factory=list)
    stops_answered: int = 0
    stops_unanswered: int = 0
    nearest_before_stop: float | None = None
    latest_after_stop: float | None = None
    farthest_outside: float = 0.0
    calm: list[float] = field(default_factory=list)
    under_faults: list[float] = field(default_factory=list)
    under_faults_at_once: list[float] = field(default_factory=list)

    @property
    def must_be_0(self) -> dict[str, int]:
        return {
            "sent twice": len(self.twice),
            "lost": len(self.lost),
            "sent after STOP": len(self.after_stop),
            "sent outside the person's hours": len(self.outside_hours),
            "taken by the provider and unknown to us": len(self.stray),
            "recorded otherwise than it was": len(self.misrecorded),
        }

    @property
    def is_good(self) -> bool:
        return not any(self.must_be_0.values())


def judge(evidence: Evidence) -> Verdict:
    """Compare. A text is due if its time came before the run ended."""
    verdict = Verdict()
    people = {person.phone: person for person in evidence.people}
    phones = {text.id: text.phone for text in evidence.texts}
    taken: dict[int, list[PhoneText]] = defaultdict(list)
    for one in evidence.taken:
        if one.direction != "outbound-api":
            continue
        text_id = evidence.tries.get(one.reference or "")
        if text_id is None or phones.get(text_id) != one.to:
            verdict.stray.append(f"provider's text {one.sid}")
        else:
            taken[text_id].append(one)
    due = [text for text in evidence.texts if text.send_after <= evidence.ended_at]
    verdict.due = len(due)
    for text in due:
        _judge_text(text, taken[text.id], evidence, verdict)
    present = {text.key for text in evidence.texts}
    verdict.lost += [f"{key}: no row" for key in sorted(evidence.expected_keys - present)]
    _judge_requests(evidence, people, verdict)
    _judge_stops(evidence, verdict)
    _measure(due, taken, people, evidence, verdict)
    return verdict


def _judge_text(text: IntendedText, taken: list[PhoneText], evidence: Evidence, verdict: Verdict) -> None:
    taken.sort(key=lambda one: one.at)
    doubled = any(not _was_over(first, second) for first, second in pairwise(taken))
    arrived = [one for one in taken if not one.surely_did_not_arrive]
    if doubled:
        verdict.twice.append(f"text {text.id} ({text.kind}, {text.state}): taken {len(taken)} times")
    elif len(taken) == 1:
        verdict.sent_once += 1
    elif taken:
        verdict.sent_again += 1
    if text.state in _SENT and not taken:
        verdict.lost.append(f"text {text.id} ({text.kind}): recorded as {text.state}, never taken")
    if text.state in {"canceled", "expired", "failed"} and arrived:
        verdict.misrecorded.append(f"text {text.id} ({text.kind}): {text.state}, but on the phone")
    if not taken:
        verdict.never_taken[f"{text.state}: {text.reason or 'no reason'}"] += 1
    _judge_end(text, evidence, verdict)


def _judge_end(text: IntendedText, evidence: Evidence, verdict: Verdict) -> None:
    if text.state in {"unresolved", "unknown"}:
        verdict.unresolved[f"{text.state}: {text.reason or 'no reason'}"] += 1
    if text.state in {"planned", "held"}:
        if text.due_at <= evidence.ended_at:
            verdict.lost.append(f"text {text.id} ({text.kind}): {text.state} though it was due")
        else:
            verdict.waiting[f"{text.state}: {text.reason or 'its time has not come'}"] += 1
    elif text.state in {"claimed", "sending", "rejected"}:
        verdict.lost.append(f"text {text.id} ({text.kind}): left {text.state}")
    elif text.state == "unresolved" and not text.has_task:
        verdict.lost.append(f"text {text.id} ({text.kind}): unresolved, and not on the staff list")
    elif text.state in _OVER - {"delivered"} and not text.reason:
        verdict.lost.append(f"text {text.id} ({text.kind}): {text.state} without a reason")


def _was_over(first: PhoneText, second: PhoneText) -> bool:
    """Whether the first surely failed before the provider took the second."""
    return first.surely_did_not_arrive and first.final_at is not None and first.final_at <= second.at


def _judge_requests(evidence: Evidence, people: dict[str, Person], verdict: Verdict) -> None:
    stopped_at = {stop.phone: stop.answered_at for stop in evidence.stops}
    for request in evidence.requests:
        person = people.get(request.to)
        if person is None:
            verdict.stray.append("a request for a number that is nobody's")
            continue
        outside = person.seconds_outside(request.at)
        verdict.farthest_outside = max(verdict.farthest_outside, outside)
        if outside > GRACE_SECONDS:
            verdict.outside_hours.append(f"{_name(request, evidence)}: {outside:.0f} s outside")
        answered_at = stopped_at.get(request.to)
        if answered_at is None:
            continue
        late = request.at - answered_at
        if late > GRACE_SECONDS:
            verdict.after_stop.append(f"{_name(request, evidence)}: {late:.2f} s after the stop")
        if late <= 0:
            verdict.nearest_before_stop = max(late, verdict.nearest_before_stop or -1e9)
        else:
            verdict.latest_after_stop = max(late, verdict.latest_after_stop or 0.0)


def _name(request: CreateRequest, evidence: Evidence) -> str:
    return f"text {evidence.tries.get(request.reference or '', '?')}"


def _judge_stops(evidence: Evidence, verdict: Verdict) -> None:
    verdict.stops_answered = sum(stop.answered_at is not None for stop in evidence.stops)
    verdict.stops_unanswered = len(evidence.stops) - verdict.stops_answered


def _measure(
    due: Iterable[IntendedText],
    taken: dict[int, list[PhoneText]],
    people: dict[str, Person],
    evidence: Evidence,
    verdict: Verdict,
) -> None:
    """From due to taken, for texts whose time lay in the person's hours. A retry's wait counts."""
    asked = Counter(evidence.tries.get(request.reference or "") for request in evidence.requests)
    for text in due:
        if not taken[text.id] or text.kind == "admin" or text.phone not in people:
            continue
        if people[text.phone].seconds_outside(text.send_after) > 0:
            continue
        seconds = max(0.0, taken[text.id][0].at - text.send_after)
        if text.send_after < evidence.faults_began_at:
            verdict.calm.append(seconds)
        elif text.send_after <= evidence.faults_ended_at:
            verdict.under_faults.append(seconds)
            if asked[text.id] == 1:
                verdict.under_faults_at_once.append(seconds)


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which `share` of them lie; None without any."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
