"""Reason words of the message trail, in plain language. The words are ours; the sentences are for staff."""

from __future__ import annotations

_REASONS: dict[str, str] = {
    "accepted_by_provider": "the provider took it",
    "already_sent": "it went out on the day on which it stood before the edit",
    "answer": "it answers a text the person sent",
    "answer_by_api": "it answers a text the person sent, sent as a text of its own",
    "answered": "the question it reminds of has an answer",
    "before_enrollment": "its time had passed when the person joined",
    "bug": "we asked the provider for something impossible; tell whoever maintains the service",
    "cap_day": "the day already had its two texts",
    "cap_week": "the week already had its nine texts",
    "configuration": "the account at the provider is set up wrongly; nothing goes out until that is repaired",
    "consent": "the provider says the person opted out",
    "consent_documented": "written consent arrived, so the request to confirm is not needed",
    "daily_limit": "the account may send no more texts today; it is tried again every hour",
    "edited": "what it comes from was changed; the new version is planned in its place",
    "erased": "the person was erased",
    "filtered": "the carriers blocked the wording",
    "inbound_not_checked": "after an outage, texts that came in meanwhile are looked for first",
    "lease_ran_out": "the worker that had it stopped; if it may have left, it is never sent again unasked",
    "kept": "the person has asked to go on, so it is not asked again",
    "looked_up_absent": "the provider was asked twice and does not have it",
    "lookup_key_missing": "a look-up key is missing from the settings, so opt-outs could be forgotten",
    "meeting_choice_changed": "the person changed this reminder",
    "meeting_closed": "the meeting is no longer held",
    "meeting_dropped": "the person no longer wants reminders of this meeting",
    "meeting_gone": "the meeting no longer exists",
    "meeting_moved": "the meeting moved to another time",
    "meeting_not_near": "the meeting is neither today nor tomorrow",
    "moved": "the person moved to another time zone; the day is planned anew there",
    "no_clear_answer": "the provider gave no clear answer: it may or may not have gone out, and is looked up",
    "no_consent": "the person has not agreed to be texted",
    "never_left_provider": "the provider took it and has not passed it on in three days; staff look",
    "no_last_word": "the carrier never said whether it arrived; nothing more is expected",
    "no_receipt": "nobody can tell whether it went out; it is on the staff list",
    "not_handed_over": "the worker slept before it could send it; it is looked at again",
    "not_in_language": "it is not written in the person's language",
    "open_question": "another question to the person was still open",
    "opted_out": "the person opted out",
    "opted_out_at_provider": "the provider says the person opted out",
    "no_fresh_text": "the person had every text of its topics within sixty days",
    "nothing_asked": "the question it reminds of did not go out",
    "other_question": "the day asks something else already, and answers could not be told apart",
    "said_already": "another program of the person says the same that day",
    "paused": "the person paused the texts",
    "paused_campaign": "staff paused the campaign",
    "permanent": "this number can never get it",
    "put_in_past": "an edit of the program put it before the day on which the person is",
    "welcome_first": "the text that says who we are and how to end this has not surely gone yet",
    "quiet_hours": "it is outside the hours in which the person may be texted",
    "release_fault": "something stored with it cannot be read; it is on the staff list",
    "render_fault": "the text could not be filled in; the wording needs repair",
    "retry": "surely not sent; it is tried again",
    "retry_later": "surely not sent, the provider is full; it is tried again later",
    "review": "surely not delivered, for a reason a human should look at",
    "sending_stopped": "sending is stopped until staff repair the account",
    "too_late": "its time had passed",
    "trial_mode": "trial mode texts listed staff numbers only; see `aftercare live status`",
    "unknown": "it may or may not have gone out",
    "unreadable": "something stored with it cannot be read, so it is asked about no more; staff look",
}
_STATES: dict[str, str] = {
    "planned": "waits for its time",
    "held": "waits",
    "claimed": "a worker took it on",
    "sending": "handed to the provider",
    "accepted": "the provider took it",
    "sent": "the carrier took it",
    "delivered": "the phone has it",
    "undelivered": "it did not reach the phone",
    "failed": "it was not sent",
    "rejected": "the provider refused it",
    "unknown": "nobody can tell yet whether it went out",
    "unresolved": "nobody can tell whether it went out",
    "canceled": "it was taken back",
    "expired": "it was not sent in time",
}


def explain(state: str, reason: str | None) -> str:
    """One plain sentence for a step of a message; a reason we have no sentence for is shown as it is."""
    said = _STATES.get(state, state)
    if reason is None:
        return said
    if reason.startswith("lapse_"):
        check = reason.removeprefix("lapse_")
        return f"{said}: the go-live check {check} has lapsed; see `aftercare live status`"
    if reason.startswith("found_"):
        return f"{said}: looked up, the provider's records say {reason.removeprefix('found_')}"
    if reason.startswith("receipt_"):
        return f"{said}: the provider reported {reason.removeprefix('receipt_')}"
    return f"{said}: {_REASONS.get(reason, reason.replace('_', ' '))}"
