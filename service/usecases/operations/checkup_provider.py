"""The part of `aftercare doctor` that asks the provider: account, number, webhook, clock. Changes nothing.

What the provider does not tell is a warning, never an error: a check that could not be made proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import SplitResult, parse_qs, urlsplit

from service.config import Settings
from service.gateways.public_address import find_fault
from service.gateways.sms.twilio_account import (
    AccountStanding,
    InboundRoute,
    NotCheckedError,
    OwnNumber,
    OwnService,
    WrongCredentialsError,
)
from service.usecases.operations.findings import Finding, error, ok, warning

PROVIDER_SKEW = timedelta(seconds=60)
DANGEROUS_SKEW = timedelta(minutes=10)
"""A clock so wrong lets texts out of the hours in which people may be texted."""

REPEATS = "#rc=5&rp=all"
"""What makes the provider repeat a text that met a restart of ours (webhook connection overrides)."""


class AccountReader(Protocol):
    """How the account at the provider is set up."""

    @property
    def provider_time(self) -> datetime | None: ...
    def read_standing(self) -> AccountStanding: ...
    def find_number(self, number: str) -> OwnNumber | None: ...
    def read_service(self, service_sid: str) -> OwnService: ...
    def list_service_numbers(self, service_sid: str) -> list[str]: ...


def list_provider_findings(
    settings: Settings, readers: Sequence[AccountReader], now: datetime
) -> list[Finding]:
    """Ask the provider with the first token's reader; the other readers only when that token is refused."""
    account, may_go_on = _account(readers[0], readers[1:])
    clock = _clock(readers[0], now)  # at once, while `now` is now
    sender = _sender(settings, readers[0]) if may_go_on else []
    return [account, *clock, *sender, _public_address(settings)]


def _public_address(settings: Settings) -> Finding:
    fault = find_fault(settings.public_url)
    if fault is None:
        return ok("public address", "answers at PUBLIC_URL")
    what = f"PUBLIC_URL/healthz: {fault} (asked from here); is `web` started, and does the name lead to it?"
    return warning("public address", what)


def _account(reader: AccountReader, others: Sequence[AccountReader]) -> tuple[Finding, bool]:
    check = "provider account"
    try:
        standing = reader.read_standing()
    except WrongCredentialsError:
        return error(check, _explain_refusal(others)), False
    except NotCheckedError as fault:
        return warning(check, f"could not be checked ({fault})"), not fault.is_silent
    if standing.status in ("suspended", "closed"):
        what = f"is {standing.status}: nothing goes out; see its console for why"
        return error(check, what), True
    if standing.is_trial:
        what = "is a trial account: it texts verified numbers only, and adds words of its own; upgrade it"
        return warning(check, what), True
    if standing.status != "active":
        return warning(check, "could not be checked (no status in the answer)"), True
    return ok(check, "active"), True


def _explain_refusal(others: Sequence[AccountReader]) -> str:
    for position, other in enumerate(others, start=2):
        with suppress(WrongCredentialsError, NotCheckedError):
            other.read_standing()
            return (
                f"refuses the first token of TWILIO_AUTH_TOKEN, which calls are made with; number {position} "
                "works: put it first"
            )
    return "refuses TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN: copy both again from the account's console"


def _sender(settings: Settings, reader: AccountReader) -> list[Finding]:
    try:
        if settings.twilio_messaging_service_sid:
            return _service(settings, reader)
        return _bare_number(settings, reader)
    except WrongCredentialsError:
        return [warning("provider number", "could not be checked (the token may not read it)")]
    except NotCheckedError as fault:
        return [warning("provider number", f"could not be checked ({fault})")]


def _bare_number(settings: Settings, reader: AccountReader) -> list[Finding]:
    number = reader.find_number(settings.twilio_from)
    if number is None:
        return [error("provider number", "TWILIO_FROM is not a number of this account; correct it")]
    return [_can_text([number], "TWILIO_FROM"), _webhook(settings, number.route, "the number")]


def _service(settings: Settings, reader: AccountReader) -> list[Finding]:
    service = reader.read_service(settings.twilio_messaging_service_sid)
    findings = []
    numbers: list[OwnNumber] = []
    try:
        listed = reader.list_service_numbers(settings.twilio_messaging_service_sid)
        if not listed:
            findings.append(error("provider number", "the messaging service has no number; add one to it"))
        else:
            numbers = [found for one in listed if (found := reader.find_number(one)) is not None]
            findings.append(_can_text(numbers, "the messaging service"))
    except (WrongCredentialsError, NotCheckedError) as fault:
        why = str(fault) or "the token may not read them"
        findings.append(warning("provider number", f"the service's numbers could not be checked ({why})"))
    if not service.is_routed_by_number:
        return [*findings, _webhook(settings, service.route, "the messaging service")]
    if not numbers:
        what = "could not be checked (each number of the service has its own)"
        return [*findings, warning("provider webhook", what)]
    faults = [_webhook(settings, number.route, "a number of the messaging service") for number in numbers]
    worst = sorted(faults, key=lambda finding: ("error", "warning", "ok").index(finding.level))
    return [*findings, worst[0]]


def _can_text(numbers: Sequence[OwnNumber], whose: str) -> Finding:
    check = "provider number"
    if any(number.can_text is False for number in numbers):
        return error(check, f"{whose}: a number cannot send texts; use one with SMS")
    if not numbers or any(number.can_text is None for number in numbers):
        return warning(check, f"{whose}: whether it can send texts could not be checked (not told)")
    return ok(check, f"{whose} is the account's and can send texts")


def _webhook(settings: Settings, route: InboundRoute, whose: str) -> Finding:
    check = "provider webhook"
    wanted = f"{settings.public_url}/twilio/inbound"
    if route.is_application:
        what = f"{whose}: an application of the account takes incoming texts; remove it, and set {wanted}"
        return error(check, what)
    if not route.url or not _is_same(route.url, wanted):
        found = "nowhere" if not route.url else f"elsewhere ({_host(route.url)})"
        return error(check, f"{whose}: incoming texts go {found}; set {wanted}{REPEATS} with POST")
    if route.method != "POST":
        what = f"{whose}: incoming texts are sent with {_only_word(route.method)} and lost; set it to POST"
        return error(check, what)
    wishes = []
    if not _asks_for_repeats(route.url):
        wishes.append(f"append {REPEATS} to its address, so that a text that meets a restart comes again")
    fallback = f"{settings.public_url}/twilio/fallback"
    if not route.fallback_url or not _is_same(route.fallback_url, fallback):
        wishes.append(f"set its fallback to {fallback}, which answers with the hotlines")
    if wishes:
        return warning(check, f"{whose}: {'; '.join(wishes)}")
    return ok(check, f"{whose}: incoming texts come here, with repeats and fallback")


def _is_same(found: str, wanted: str) -> bool:
    """Whether two addresses are one to the provider, which signs all of it but the fragment."""
    return _signed(found) == _signed(wanted)


def _signed(url: str) -> tuple[str, str, str, str]:
    parts = _split(url)
    return parts.scheme.lower(), parts.netloc.lower(), parts.path, parts.query


def _asks_for_repeats(url: str) -> bool:
    wishes = parse_qs(_split(url).fragment)
    repeats = wishes.get("rc", ["1"])[0]
    policy = wishes.get("rp", ["ct"])[0].split(",")
    is_any = repeats.isdecimal() and int(repeats) > 0
    return is_any and ("all" in policy or {"5xx", "rt", "ct"} <= set(policy))


def _host(url: str) -> str:
    with suppress(ValueError):
        return _split(url).hostname or "an address without a host"
    return "an address without a host"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _only_word(method: str) -> str:
    return method if method.isalpha() and len(method) < 8 else "another method"


def _clock(reader: AccountReader, now: datetime) -> list[Finding]:
    told = reader.provider_time
    if told is None:
        return []
    skew = abs(told - now)
    if skew > PROVIDER_SKEW:
        what = f"differs from ours by {skew.total_seconds():.0f} s; set the database server's clock (NTP)"
        return [(error if skew > DANGEROUS_SKEW else warning)("provider clock", what)]
    return [ok("provider clock", "agrees with ours")]
