"""What simulated people do, as a table: how often, and where the number comes from. Pure.

Marks of the evidence: B1 and C1 are tables of the content reference with their studies; "assumed" is ours,
made up so that every path of the service is walked. None of this is a claim about real people.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happens: `value` is a share from 0 to 1, or a number of what `unit` says."""

    id: str
    value: float
    unit: str
    evidence: str


RATES = (
    Rate("join_by_text", 0.15, "of people", "assumed; the others are imported by staff"),
    Rate("verbal_consent", 0.25, "of those imported", "assumed; the others agreed in writing"),
    Rate("confirm", 0.9, "of those asked to confirm", "assumed"),
    Rate("spanish", 0.25, "of people", "assumed, so that both languages are walked"),
    Rate("plain", 0.3, "of people", "assumed"),
    Rate("chooses_time", 0.08, "of people", "assumed"),
    Rate("meeting", 0.2, "of people", "assumed; reminders are wanted most (B1: Tofighi survey)"),
    Rate("answer_at_first", 0.42, "of questions", "B1: PIER1 30 % in the first week; C1 expects 30-45 %"),
    Rate("answer_later", 0.3, "of questions", "B1: PIER1 and Kmiec about a third, unpaid"),
    Rate("weeks_of_decay", 3, "weeks", "B1: cancer survivors, response falls and is flat by week 3"),
    Rate("next_answer", 0.92, "of follow-up questions", "assumed; who began mostly goes on"),
    Rate("unclear_answer", 0.04, "of answers", "assumed"),
    Rate("falls_silent", 0.3, "of people", "assumed, 2 to 8 weeks; B1: HOPE, check-ins peak in month 1"),
    Rate("hard_urge", 0.1, "of answers about urges", "assumed: 7 or more of 10"),
    Rate("hard_plan", 0.06, "of answers about the plan", "assumed: a slip, one in four wanting help"),
    Rate("hard_other", 0.05, "of other answers that may bring more texts", "assumed"),
    Rate("stops", 0.094, "of people in a year", "B1: Tofighi telebup RCT, 9.4 % asked to stop"),
    Rate("starts_again", 0.15, "of those who stopped", "assumed, 30 to 90 days later"),
    Rate("less", 0.15, "of people in a year", "B1: Text2Quit, frequency is the top complaint (20.5 %)"),
    Rate("more", 0.05, "of people in a year", "assumed; B1: Muench 2017, most wanted to go on"),
    Rate("pauses", 0.12, "of people in a year", "assumed"),
    Rate("asks_for_help", 0.15, "of people in a year", "assumed"),
    Rate("craving", 0.25, "of people in a year", "assumed"),
    Rate("free_text", 0.5, "of people in a year", "B1: uMAT-R, people write when somebody may answer"),
    Rate("moves", 0.05, "of people in a year", "assumed; staff are told and set the zone"),
    Rate("loses_number", 0.06, "of people in a year", "assumed; B1: Tofighi 2015, 1.6 numbers a year"),
    Rate("stopped_at_carrier", 0.01, "of people in a year", "assumed; the carrier then refuses (21610)"),
    Rate("wrong_number", 0.01, "of people in a year", "assumed"),
    Rate("keeps", 0.59, "of those asked", "B1: PIER1, 10 of 17 went on"),
    Rate("undelivered", 0.02, "of texts", "assumed; the handset is off, a later try may arrive"),
    Rate("no_clear_answer", 0.001, "of texts", "assumed; the carrier took the text and nobody heard so"),
    Rate(
        "reported_delivered",
        0.05,
        "of texts that arrive",
        "assumed, to save time; nobody reports on the others",
    ),
)
_BY_ID = {rate.id: rate.value for rate in RATES}


def rate(rate_id: str) -> float:
    """The value of a row. Raises KeyError."""
    return _BY_ID[rate_id]
