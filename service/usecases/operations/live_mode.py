"""Trial mode, live mode, and what stops unprompted sending for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from service.config import DEMO_ORG_NAME, TransportName
from service.domain.answering import OptOutMode
from service.domain.hotlines import stale_lines
from service.store.pacing import find_sender_block
from service.store.service_state import find_setting, list_missing_key_ids, set_setting
from service.store.staff import AuditEvent
from service.usecases.context import Context
from service.usecases.inbound.check_state import find_inbound_block

HOTLINES_GOOD_FOR_DAYS = 180


@dataclass(frozen=True, slots=True)
class GoLiveCheck:
    """One line of the go-live list: what is wrong, or nothing."""

    name: str
    problem: str | None


class NotReadyError(Exception):
    """Live mode was refused; `problems` say why."""

    def __init__(self, problems: list[GoLiveCheck]) -> None:
        super().__init__("not ready to go live: " + "; ".join(f"{c.name}: {c.problem}" for c in problems))
        self.problems = problems


def is_trial(context: Context, session: Session) -> bool:
    """Whether only listed staff numbers may be texted. The simulator texts nobody real, so it is never on."""
    if context.settings.transport is TransportName.SIMULATOR:
        return False
    live = find_setting(session, "live")
    return not (live and live.get("on"))


def list_checks(context: Context, now: datetime) -> list[GoLiveCheck]:
    """The go-live list. A check without a problem has passed."""
    settings = context.settings
    unsigned = context.catalog.unsigned_ids()
    stale = stale_lines(context.catalog.hotlines, now.date(), HOTLINES_GOOD_FOR_DAYS)
    is_https = settings.public_url.startswith("https://")
    needs_help_text = settings.optout_mode is OptOutMode.ADVANCED
    return [
        GoLiveCheck("organization", "ORG_NAME is the demo's" if settings.org_name == DEMO_ORG_NAME else None),
        GoLiveCheck("public-url", None if is_https else "PUBLIC_URL must start with https://"),
        GoLiveCheck(
            "signed-texts",
            f"{len(unsigned)} texts have no clinical review" if unsigned else None,
        ),
        GoLiveCheck(
            "hotlines",
            f"{len(stale)} hotlines not verified for {HOTLINES_GOOD_FOR_DAYS} days" if stale else None,
        ),
        GoLiveCheck(
            "provider-help-text",
            "confirm with --help-text-checked that the provider's HELP text names 988"
            if needs_help_text
            else None,
        ),
    ]


def go_live(
    context: Context, by: str, now: datetime, *, force: bool = False, confirmed: frozenset[str] = frozenset()
) -> list[GoLiveCheck]:
    """Leave trial mode. Returns what `force` skipped; raises NotReadyError otherwise. Commits once."""
    problems = [c for c in list_checks(context, now) if c.problem and c.name not in confirmed]
    if problems and not force:
        raise NotReadyError(problems)
    skipped = sorted({c.name for c in problems} | confirmed)
    _switch(context, {"on": True, "skipped": skipped}, by, now)
    return problems


def go_trial(context: Context, by: str, now: datetime) -> None:
    """Back to trial mode. Commits once."""
    _switch(context, {"on": False, "skipped": []}, by, now)


def read_live(context: Context, now: datetime) -> dict[str, Any]:
    """The state of live mode and the go-live list, for people and for `--json`."""
    with context.database.read() as session:
        live = find_setting(session, "live") or {"on": False, "skipped": []}
        block = find_block(context, session, now)
        trial = is_trial(context, session)
    return {
        "mode": "trial" if trial else "live",
        "transport": str(context.settings.transport),
        "skipped": live.get("skipped", []),
        "sending_blocked": block,
        "checks": [{"name": c.name, "problem": c.problem} for c in list_checks(context, now)],
    }


def find_block(context: Context, session: Session, now: datetime) -> str | None:
    """Why unprompted texts are stopped for everybody, or None.

    A missing look-up key stops them in every mode: with it, opt-outs would be forgotten. So does an outage
    after which nobody has asked for the texts that came in meanwhile: one may be a stop. So does an account
    whose day is full at the provider, until it is tried again within the hour. The lapses of the
    go-live list stop them in live mode, unless they were skipped knowingly.
    """
    if list_missing_key_ids(session, context.keyring.lookup_key_ids):
        return "lookup_key_missing"
    if find_setting(session, "sending_stopped"):
        return "sending_stopped"
    if block := find_sender_block(session) or find_inbound_block(context, session, now):
        return block
    live = find_setting(session, "live")
    if not live or not live.get("on") or context.settings.transport is TransportName.SIMULATOR:
        return None
    skipped = set(live.get("skipped", []))
    lapses = [c.name for c in list_checks(context, now) if c.problem and c.name not in skipped]
    return f"lapse_{lapses[0]}" if lapses else None


def _switch(context: Context, value: dict[str, Any], by: str, now: datetime) -> None:
    with context.database.begin() as session:
        set_setting(session, "live", value, now, by)
        set_setting(session, "sending_stopped", {}, now, by)
        session.add(
            AuditEvent(at=now, actor=by, action="live_on" if value["on"] else "live_off", detail=value)
        )
