"""What a provider's answer means for one text: try again, never, stop the sender, or ask a human.

One table holds every code we know of (source: the provider's error dictionary). Its authors call the
codes "subject to change", so a code that is not in the table is never a reason to send again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

LARGEST_CODE = 2**31 - 1
"""No code of the provider has more than five digits; what is larger fits no column."""


def known_code(code: int | None) -> int | None:
    """A code as the provider may have given it; None for what can be none of its codes."""
    return code if code is not None and 1 <= code <= LARGEST_CODE else None


class AnswerClass(StrEnum):
    """What is to be done about a text that the provider did not simply take."""

    RETRY = "retry"
    """Surely not sent; try again soon."""
    RETRY_LATER = "retry_later"
    """Surely not sent; a queue or a daily limit is full, so try again much later."""
    PERMANENT = "permanent"
    """This number, or this pair of numbers, will never get it."""
    CONSENT = "consent"
    """The person opted out at the provider: opt them out here at once."""
    CONFIGURATION = "configuration"
    """The account is wrong: no text of this sender can go out until staff repair it."""
    BUG = "bug"
    """We sent something impossible: fail this text and tell whoever maintains the service."""
    FILTERED = "filtered"
    """The wording was blocked: never send the same wording again."""
    REVIEW = "review"
    """Surely not delivered, for a reason we do not know: no resend by itself, a human looks."""
    UNKNOWN = "unknown"
    """It may or may not have been sent."""


class Where(StrEnum):
    """Where a code is met."""

    CREATE = "create"
    RECEIPT = "receipt"
    BOTH = "both"
    DEBUGGER = "debugger"
    """Only in the provider's console: about our webhook, not about a text of ours."""


@dataclass(frozen=True, slots=True)
class CodeRule:
    """One row of the table; `after` is the shortest wait before another try, None where the usual applies."""

    code: int
    where: Where
    answer: AnswerClass
    after: timedelta | None
    note: str


_A = AnswerClass
_W = Where
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)

_RULES = (
    CodeRule(10001, _W.BOTH, _A.CONFIGURATION, None, "the account is suspended or out of funds"),
    CodeRule(20003, _W.CREATE, _A.CONFIGURATION, None, "the account id or its token is wrong"),
    CodeRule(20005, _W.CREATE, _A.CONFIGURATION, None, "the account is not active"),
    CodeRule(20403, _W.CREATE, _A.CONFIGURATION, None, "the account is suspended or closed"),
    CodeRule(20404, _W.BOTH, _A.CONFIGURATION, None, "the address asked for does not exist"),
    CodeRule(20429, _W.CREATE, _A.RETRY, None, "too many requests at once; surely not processed"),
    CodeRule(20500, _W.CREATE, _A.UNKNOWN, None, "the provider failed and does not say how far it came"),
    CodeRule(21211, _W.CREATE, _A.PERMANENT, None, "not a telephone number"),
    CodeRule(21212, _W.CREATE, _A.CONFIGURATION, None, "our own number is not valid"),
    CodeRule(21266, _W.CREATE, _A.PERMANENT, None, "this number is our own"),
    CodeRule(21408, _W.CREATE, _A.PERMANENT, None, "the account may not text this country"),
    CodeRule(21602, _W.CREATE, _A.BUG, None, "no body"),
    CodeRule(21606, _W.CREATE, _A.CONFIGURATION, None, "our own number cannot send texts"),
    CodeRule(21608, _W.CREATE, _A.CONFIGURATION, None, "a trial account may text verified numbers only"),
    CodeRule(21610, _W.BOTH, _A.CONSENT, None, "opted out at the provider, or the number has a new owner"),
    CodeRule(21611, _W.CREATE, _A.RETRY_LATER, _HOUR, "our number's queue holds ten hours of texts"),
    CodeRule(21612, _W.CREATE, _A.PERMANENT, None, "this number cannot be reached from ours"),
    CodeRule(21614, _W.CREATE, _A.PERMANENT, None, "not a mobile number"),
    CodeRule(21617, _W.CREATE, _A.BUG, None, "a body above 1600 characters"),
    CodeRule(21619, _W.CREATE, _A.BUG, None, "no body and no media"),
    CodeRule(21659, _W.CREATE, _A.CONFIGURATION, None, "our own number is not the account's"),
    CodeRule(21660, _W.CREATE, _A.CONFIGURATION, None, "our own number belongs to another account"),
    CodeRule(35125, _W.CREATE, _A.RETRY_LATER, _HOUR, "too many texts are scheduled at the provider"),
    CodeRule(14107, _W.RECEIPT, _A.RETRY, _MINUTE, "over 30 replies between two numbers in 30 s: a loop"),
    CodeRule(30001, _W.RECEIPT, _A.RETRY_LATER, _HOUR, "the queue overflowed"),
    CodeRule(30002, _W.RECEIPT, _A.CONFIGURATION, None, "the account is suspended"),
    CodeRule(30003, _W.RECEIPT, _A.RETRY, _HOUR, "the handset is off or without signal; may pass"),
    CodeRule(30004, _W.RECEIPT, _A.PERMANENT, None, "blocked, perhaps by the person: a hint of an opt-out"),
    CodeRule(30005, _W.RECEIPT, _A.PERMANENT, None, "no such handset: ask for the number again"),
    CodeRule(30006, _W.RECEIPT, _A.PERMANENT, None, "a landline, or a carrier that cannot be reached"),
    CodeRule(30007, _W.RECEIPT, _A.FILTERED, None, "the provider or the carrier filtered the wording"),
    CodeRule(30008, _W.RECEIPT, _A.RETRY, 15 * _MINUTE, "the carrier names no reason; worth another try"),
    CodeRule(30010, _W.RECEIPT, _A.REVIEW, None, "above a price limit; obsolete since 2024-06-03"),
    CodeRule(30017, _W.RECEIPT, _A.RETRY, 5 * _MINUTE, "the carrier is congested"),
    CodeRule(30020, _W.RECEIPT, _A.RETRY, _MINUTE, "the provider's scheduler failed"),
    CodeRule(30022, _W.RECEIPT, _A.RETRY, 5 * _MINUTE, "above the registered campaign's rate"),
    CodeRule(30023, _W.RECEIPT, _A.RETRY_LATER, _DAY, "above a carrier's daily limit"),
    CodeRule(30032, _W.RECEIPT, _A.CONFIGURATION, None, "our toll-free number is not verified"),
    CodeRule(30034, _W.RECEIPT, _A.CONFIGURATION, None, "our number is not registered with the carriers"),
    CodeRule(30036, _W.RECEIPT, _A.RETRY, None, "it waited longer than it was valid; surely not sent"),
    CodeRule(30047, _W.RECEIPT, _A.RETRY, 15 * _MINUTE, "neither queued nor sent by the compliance check"),
    CodeRule(30450, _W.BOTH, _A.REVIEW, None, "taken for fraudulent traffic"),
    CodeRule(30610, _W.RECEIPT, _A.RETRY_LATER, 3 * _HOUR, "night at the person's place, says the provider"),
    CodeRule(30640, _W.RECEIPT, _A.PERMANENT, None, "a known litigator: legal review first"),
    CodeRule(63017, _W.BOTH, _A.RETRY, _MINUTE, "above the account's rate per second"),
    CodeRule(63038, _W.BOTH, _A.RETRY_LATER, _HOUR, "above the account's limit in any 24 hours"),
    CodeRule(90010, _W.BOTH, _A.CONFIGURATION, None, "the account is not active"),
    CodeRule(11200, _W.DEBUGGER, _A.BUG, None, "our webhook could not be fetched"),
    CodeRule(12100, _W.DEBUGGER, _A.BUG, None, "our answer was not readable TwiML"),
    CodeRule(12300, _W.DEBUGGER, _A.BUG, None, "our answer had the wrong content type"),
    CodeRule(13803, _W.DEBUGGER, _A.CONFIGURATION, None, "the account's region cannot answer with a text"),
    CodeRule(14106, _W.DEBUGGER, _A.BUG, None, "over 50 answers in one session: a loop"),
    CodeRule(14109, _W.DEBUGGER, _A.BUG, None, "over 10 replies to one text"),
    CodeRule(57012, _W.DEBUGGER, _A.BUG, None, "a signature did not match"),
)

CODES: Mapping[int, CodeRule] = {rule.code: rule for rule in _RULES}
"""Every code we know. Look here for the wait (`after`) and for the sentence that staff read (`note`)."""


class SenderEffect(StrEnum):
    """What an answer says about our number rather than about one text."""

    BACK_OFF = "back_off"
    """Too many at once: every process rests, longer each time in a row."""
    BLOCK = "block"
    """The account's day is full: nothing unprompted leaves for `BLOCKED_FOR`, and staff are told."""


SENDER_EFFECTS: Mapping[int, SenderEffect] = {
    20429: SenderEffect.BACK_OFF,
    63017: SenderEffect.BACK_OFF,
    63038: SenderEffect.BLOCK,
}
BLOCKED_FOR = timedelta(hours=1)
"""The day is a rolling one, so room comes back little by little: it is tried again each hour."""


def find_sender_effect(code: int | None, http_status: int | None) -> SenderEffect | None:
    """What a refusal means for everything else that waits to leave; None for nothing."""
    found = SENDER_EFFECTS.get(code) if code is not None else None
    return SenderEffect.BACK_OFF if found is None and http_status == 429 else found


_UNCLEAR_STATUS = 408
_SURELY_NOT_NOW = frozenset({AnswerClass.RETRY, AnswerClass.RETRY_LATER})
_WRONG_ACCOUNT_STATUSES = frozenset({401, 403, 404})
_NOT_DELIVERED = frozenset({"failed", "undelivered", "canceled"})


def classify_create(code: int | None, http_status: int) -> AnswerClass:
    """Classify a refused request to send: `code` as the provider gave it, None if it gave none.

    Only a 4xx is a clear no. A 408 says that some machine on the way gave up waiting, so it is as
    unclear as a 5xx. A code outweighs its status within 4xx, except that 429 is always "not processed".
    A code that is not in the table is for a human, whatever its status; only a refusal without any code is
    read from its status.
    """
    if not 400 <= http_status < 500 or http_status == _UNCLEAR_STATUS:
        return AnswerClass.UNKNOWN
    rule = CODES.get(code) if code is not None else None
    if http_status == 429:
        return rule.answer if rule is not None and rule.answer in _SURELY_NOT_NOW else AnswerClass.RETRY
    if rule is not None:
        return rule.answer
    is_account_wrong = code is None and http_status in _WRONG_ACCOUNT_STATUSES
    return AnswerClass.CONFIGURATION if is_account_wrong else AnswerClass.REVIEW


def classify_receipt(status: str, code: int | None) -> AnswerClass | None:
    """Classify a delivery receipt; None where nothing went wrong (sent, delivered, a word we do not know).

    `failed` was never sent and `undelivered` did not arrive, so no class here means "perhaps sent twice".
    """
    if status not in _NOT_DELIVERED:
        return None
    rule = CODES.get(code) if code is not None else None
    if rule is None or rule.answer is AnswerClass.UNKNOWN:
        return AnswerClass.REVIEW
    return rule.answer
