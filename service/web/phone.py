"""The simulated phone: several fictional people's phones in a browser, and the simulator's clock.

Registered only with TRANSPORT=simulator, and answers only the machine it runs on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import (
    Blueprint,
    Response,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_wtf.csrf import generate_csrf, validate_csrf
from werkzeug.wrappers import Response as WerkzeugResponse
from wtforms.validators import ValidationError

from service.catalog import default_messages_path
from service.domain.local_time import UnknownZoneError, get_zone
from service.domain.phone import InvalidPhoneError, PhoneNumber, find_e164, is_fictional, parse_phone
from service.gateways.sms.simulator import CarrierError, SimulatedCarrier, SimulatorTransport
from service.store.clock import ClockError, SimulatedClock
from service.usecases.operations.phone_threads import (
    MAX_PHONES,
    find_shown_phone,
    list_threads,
    phone_key,
)
from service.usecases.operations.simulation import Advanced, Simulation, advance, advance_to_next_text
from service.web.page_texts import LANGUAGES, PhoneWords, load_phone_words
from service.web.phone_view import AddedPhone, build_phone_view, format_moment
from service.web.this_machine import is_from_this_machine
from service.wiring import Runtime

PAGE_OPEN_SECONDS = 24 * 3600
STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
ZONES = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "Pacific/Honolulu",
    "America/Puerto_Rico",
)
_SESSION = "phones"


def build_blueprint(runtime: Runtime) -> Blueprint:
    """Routes under /phone/. Raises PageTextError when the page's words are incomplete."""
    blueprint = Blueprint("phone", __name__, url_prefix="/phone")
    views = _PhoneViews(runtime, load_phone_words(default_messages_path() / "pages"))
    blueprint.before_request(views.refuse_strangers)
    blueprint.add_url_rule("/", "page", views.page, methods=["GET"])
    blueprint.add_url_rule("/text", "text", views.text, methods=["POST"])
    blueprint.add_url_rule("/clock", "clock", views.clock, methods=["POST"])
    blueprint.add_url_rule("/add", "add", views.add, methods=["POST"])
    return blueprint


class _PhoneViews:
    """The page and the three things one can do on it."""

    def __init__(self, runtime: Runtime, words: PhoneWords) -> None:
        self._runtime = runtime
        self._words = words
        self._clock_in_hand = threading.Lock()

    def refuse_strangers(self) -> Response | None:
        """Only from this machine, never through a proxy; every change needs this page's own form."""
        if not is_from_this_machine():
            return _refusal(403, "The simulated phone answers only on the machine it runs on.")
        if request.method == "POST" and not _is_own_form():
            return _refusal(400, "This page was open for a long time. Please reload it and try again.")
        return None

    def page(self) -> Response:
        now = self._runtime.clock()
        settings = self._runtime.settings
        added = {phone_key(self._runtime.context, PhoneNumber(a.number)): a for a in _list_added()}
        numbers = [PhoneNumber(phone.number) for phone in added.values()]
        threads = list_threads(self._runtime.context, numbers, now)
        zone = settings.org_timezone
        phones = [
            build_phone_view(thread, added.get(thread.key), self._words, zone, now) for thread in threads
        ]
        return make_response(
            render_template(
                "phone/page.html",
                phones=phones,
                now=format_moment(now, ZoneInfo(zone)),
                zone=zone.replace("_", " "),
                zones=ZONES,
                org=settings.org_name,
                csrf_token=generate_csrf(),
            )
        )

    def text(self) -> WerkzeugResponse:
        """Pass a text on as the carrier does: a signed request to our own webhook, receipts and all."""
        key = request.form.get("phone", "")
        added = [PhoneNumber(phone.number) for phone in _list_added()]
        phone = find_shown_phone(self._runtime.context, added, key)
        body = request.form.get("quick") or request.form.get("body", "")
        if phone is None:
            return _back("This phone is no longer on the page. Add it again.")
        if not body.strip():
            return _back("Write something first.", key)
        try:
            _carrier(self._runtime).text_in(phone, body)
        except CarrierError as error:
            return _back(f"The text did not arrive: {error}.", key)
        return _back(None, key)

    def clock(self) -> WerkzeugResponse:
        """Move the simulated clock: an hour, a day, or until a text goes out."""
        step = request.form.get("step", "")
        move = self._find_move(step)
        if move is None:
            return _back("The clock has no such step.")
        if not self._clock_in_hand.acquire(blocking=False):
            return _back("The clock is already moving. Wait a moment.")
        try:
            return _back(self._describe(move(), is_to_text=step == "text"))
        except ClockError as error:
            return _back(f"The clock did not move: {error}.")
        finally:
            self._clock_in_hand.release()

    def add(self) -> WerkzeugResponse:
        """Put one more fictional phone on the page. The service learns of it only when it texts."""
        try:
            phone = parse_phone(request.form.get("number", ""), "US")
            zone = get_zone(request.form.get("timezone", ""))
        except (InvalidPhoneError, UnknownZoneError) as error:
            return _back(f"No phone was added: {error}.")
        if not is_fictional(phone):
            return _back("No phone was added: use a fictional number, 555-0100 to 555-0199 in any area code.")
        language = request.form.get("language", "")
        added = [other for other in _list_added() if other.number != phone.e164]
        added.append(AddedPhone(phone.e164, zone.key, language if language in LANGUAGES else LANGUAGES[0]))
        session[_SESSION] = [[one.number, one.timezone, one.language] for one in added[-MAX_PHONES:]]
        return _back("The phone is here. Text JOIN from it.", phone_key(self._runtime.context, phone))

    def _find_move(self, step: str) -> Callable[[], Advanced] | None:
        simulation = _simulation(self._runtime)
        if step == "text":
            return lambda: advance_to_next_text(simulation)
        if step not in STEPS:
            return None
        return lambda: advance(simulation, simulation.clock() + STEPS[step])

    def _describe(self, advanced: Advanced, *, is_to_text: bool) -> str:
        when = format_moment(advanced.at, ZoneInfo(self._runtime.settings.org_timezone))
        parts = [_count(advanced.sent, "text") + " sent"]
        parts += [
            f"{number} {what}"
            for number, what in (
                (advanced.held, "held back for later"),
                (advanced.expired, "left out"),
                (advanced.canceled, "canceled"),
            )
            if number
        ]
        happened = f"It is now {when}: {', '.join(parts)}."
        if advanced.is_complete:
            return happened
        if is_to_text and not advanced.sent:
            return f"{happened} Nothing went out in forty days: does anybody take part?"
        return f"{happened} The clock stopped on the way; press again to go on."


def _carrier(runtime: Runtime) -> SimulatedCarrier:
    if runtime.carrier is None:
        raise TypeError("the simulated phone needs TRANSPORT=simulator")
    return runtime.carrier


def _simulation(runtime: Runtime) -> Simulation:
    if not isinstance(runtime.clock, SimulatedClock) or not isinstance(runtime.transport, SimulatorTransport):
        raise TypeError("the simulated phone needs TRANSPORT=simulator")
    return Simulation(runtime.context, runtime.transport, runtime.clock)


def _list_added() -> list[AddedPhone]:
    """The phones in the visitor's own cookie: signed, and fictional numbers only."""
    stored: list[Any] = session.get(_SESSION, [])
    return [AddedPhone(*one) for one in stored if find_e164(one[0])]


def _is_own_form() -> bool:
    try:
        validate_csrf(request.form.get("csrf_token"), time_limit=PAGE_OPEN_SECONDS)
    except ValidationError:
        return False
    return True


def _refusal(status: int, line: str) -> Response:
    return make_response(render_template("phone/refusal.html", line=line), status)


def _back(line: str | None, key: str | None = None) -> WerkzeugResponse:
    if line is not None:
        flash(line)
    return redirect(url_for("phone.page", _anchor=f"phone-{key}" if key else None), 303)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
