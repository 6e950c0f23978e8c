"""What a text is for, and what follows from that: precedence, lane, caps, how late it may be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum


class MessageKind(StrEnum):
    """Every purpose a text may have. A text of no kind cannot be sent."""

    CRISIS_REPLY = "crisis_reply"
    REPLY = "reply"
    OPT_OUT_REPLY = "opt_out_reply"
    ADMIN = "admin"
    STAFF_ALERT = "staff_alert"
    APPOINTMENT_REMINDER = "appointment_reminder"
    MEDICINE_REMINDER = "medicine_reminder"
    CHECKIN = "checkin"
    CHECKUP = "checkup"
    PULSE = "pulse"
    MEETING_REMINDER = "meeting_reminder"
    SAFETY = "safety"
    CAMPAIGN = "campaign"
    MILESTONE = "milestone"
    NUDGE = "nudge"
    WEEKEND_PLAN = "weekend_plan"
    SKILL_SERIES = "skill_series"
    TIP = "tip"
    CARING = "caring"


class Lane(IntEnum):
    """Order of sending: danger and answers first, then what is tied to a time, then the rest."""

    ANSWER = 0
    TIMED = 1
    REST = 2


@dataclass(frozen=True, slots=True)
class KindRule:
    """What follows from a kind.

    `rank` orders texts that fall on one day (lower wins). `is_capped` texts count toward the daily and
    weekly caps. `defers` texts move to the next day when a cap pushes them out; others are dropped with
    a reason. `may_resend` says whether a text whose fate is unknown, looked up twice and absent, may go
    out once more: never for a question, because two answers to it cannot be told apart.
    `useful_for` is how long after its time a text still helps, unless its step says otherwise.
    """

    rank: int
    lane: Lane
    is_capped: bool
    defers: bool
    may_resend: bool
    useful_for: timedelta


_HOUR = timedelta(hours=1)

KIND_RULES: dict[MessageKind, KindRule] = {
    MessageKind.CRISIS_REPLY: KindRule(0, Lane.ANSWER, False, False, True, 2 * _HOUR),
    MessageKind.STAFF_ALERT: KindRule(0, Lane.ANSWER, False, False, True, 2 * _HOUR),
    MessageKind.REPLY: KindRule(0, Lane.ANSWER, False, False, False, 2 * _HOUR),
    MessageKind.OPT_OUT_REPLY: KindRule(0, Lane.ANSWER, False, False, False, timedelta(minutes=5)),
    MessageKind.ADMIN: KindRule(0, Lane.TIMED, False, False, False, 48 * _HOUR),
    MessageKind.APPOINTMENT_REMINDER: KindRule(1, Lane.TIMED, False, False, True, 24 * _HOUR),
    MessageKind.MEDICINE_REMINDER: KindRule(2, Lane.TIMED, False, False, True, 4 * _HOUR),
    MessageKind.CHECKUP: KindRule(3, Lane.REST, True, False, False, 4 * _HOUR),
    MessageKind.CHECKIN: KindRule(4, Lane.REST, True, False, False, 4 * _HOUR),
    MessageKind.PULSE: KindRule(5, Lane.REST, True, False, False, 4 * _HOUR),
    MessageKind.MEETING_REMINDER: KindRule(6, Lane.TIMED, False, False, True, 2 * _HOUR),
    MessageKind.SAFETY: KindRule(7, Lane.REST, True, True, True, 48 * _HOUR),
    MessageKind.CAMPAIGN: KindRule(8, Lane.REST, True, False, False, 12 * _HOUR),
    MessageKind.MILESTONE: KindRule(9, Lane.REST, True, False, False, 8 * _HOUR),
    MessageKind.NUDGE: KindRule(10, Lane.REST, True, False, False, 4 * _HOUR),
    MessageKind.WEEKEND_PLAN: KindRule(11, Lane.REST, True, False, False, 8 * _HOUR),
    MessageKind.SKILL_SERIES: KindRule(11, Lane.REST, True, False, False, 8 * _HOUR),
    MessageKind.TIP: KindRule(12, Lane.REST, True, False, False, 8 * _HOUR),
    MessageKind.CARING: KindRule(13, Lane.REST, True, False, False, 8 * _HOUR),
}
"""Precedence and caps follow the program's collision rule: appointment, medicine, check-in, meeting,
safety, campaign, milestone, tip, caring; a check-up, four times a year, goes before a check-in. Reminders
a person chose and answers to a person's own text are never capped. A confirmation of a stop that goes by
itself is presumed welcome for five minutes (47 CFR 64.1200(a)(12))."""

ANSWER_KINDS = frozenset({MessageKind.CRISIS_REPLY, MessageKind.REPLY, MessageKind.OPT_OUT_REPLY})
"""Answers to the person's own text: the only texts that ignore the person's hours."""

ASKING_KINDS = frozenset({MessageKind.CHECKIN, MessageKind.CHECKUP, MessageKind.PULSE})
"""Texts that ask something and open a conversation."""

AFTER_OPT_OUT = frozenset({MessageKind.CRISIS_REPLY, MessageKind.OPT_OUT_REPLY})
"""What may still go to somebody who opted out: the one confirmation, and the answer to a call for help."""
