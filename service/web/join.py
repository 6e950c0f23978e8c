"""The public sign-up pages: plain forms that work without scripts and say the same to everybody."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask_wtf.csrf import generate_csrf, validate_csrf
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable
from werkzeug.wrappers import Response as WerkzeugResponse
from wtforms.validators import ValidationError

from service.catalog import default_messages_path
from service.domain.phone import InvalidPhoneError, PhoneNumber
from service.domain.program import Program
from service.store.service_state import list_programs
from service.usecases.people.consent_changes import Wording
from service.usecases.people.join_by_web import (
    JoinOutcome,
    UntextableNumberError,
    WebSignUp,
    join_by_web,
    parse_joining_phone,
)
from service.usecases.people.wording import frequency_of
from service.web.answer_floor import AnswerFloor
from service.web.faults import answer_fault
from service.web.page_texts import LANGUAGES, PageTexts, load_join_texts
from service.web.proxies import ProxyWatch, client_address
from service.wiring import Runtime

FORM_OPEN_SECONDS = 12 * 3600
RETRY_AFTER_SECONDS = 60
MAX_TYPED = 40
_NO_BREAK_HYPHEN, _NO_BREAK_SPACE = "\u2011", "\u00a0"
_EXAMPLES = {"US": "202-555-0123", "CA": "416-555-0123", "GB": "07700 900123"}


@dataclass(frozen=True, slots=True)
class _Page:
    """One program's sign-up page in the visitor's language."""

    program: Program
    texts: PageTexts


@dataclass(frozen=True, slots=True)
class _Filled:
    """What the visitor has typed and what is wrong with it."""

    phone: str = ""
    error: str = ""
    field: str = "phone"
    has_agreed: bool = False


def build_blueprint(runtime: Runtime, floor: AnswerFloor) -> Blueprint:
    """Routes under /join/<program>. Raises PageTextError when the words of the pages are incomplete."""
    views = _JoinViews(runtime, load_join_texts(default_messages_path() / "pages"), floor)
    blueprint = Blueprint("join", __name__, url_prefix="/join")
    blueprint.add_url_rule("/<program_id>", "form", views.form, methods=["GET"])
    blueprint.add_url_rule("/<program_id>", "submit", views.submit, methods=["POST"])
    blueprint.add_url_rule("/<program_id>/done", "done", views.done, methods=["GET"])
    blueprint.add_url_rule(
        "/<program_id>/<any(privacy, terms):name>", "article", views.article, methods=["GET"]
    )
    blueprint.register_error_handler(Exception, views.fault)
    return blueprint


class _JoinViews:
    """The pages of all programs in all languages."""

    def __init__(self, runtime: Runtime, texts: dict[str, PageTexts], floor: AnswerFloor) -> None:
        self._runtime = runtime
        self._floor = floor
        self._texts = texts
        self._country = runtime.settings.org_country
        self._proxies = ProxyWatch(runtime.settings.trusted_proxies)

    def form(self, program_id: str) -> Response:
        page = self._find_page(program_id)
        return self._show_form(page, _Filled()) if page else self._unknown()

    def submit(self, program_id: str) -> WerkzeugResponse:
        began = self._floor.elapsed()
        self._proxies.look_at(request)
        page = self._find_page(program_id)
        if page is None:
            return self._unknown()
        typed = request.form.get("phone", "")[:MAX_TYPED]
        read = self._read_form(page, typed)
        if isinstance(read, _Filled):
            return self._show_form(page, read, 400 if read.field == "form" else 422)
        if self._join(page, read) is JoinOutcome.THROTTLED:
            return _render("join/problem.html", 429, page=page, texts=page.texts, problem="throttled")
        # Only here has anything been looked up by the number. The other answers come at once: holding them
        # back too would let a flood of refused forms take the threads that the webhooks need.
        self._floor.hold_since(began)
        return redirect(url_for("join.done", program_id=page.program.id, lang=page.texts.language), 303)

    def done(self, program_id: str) -> Response:
        """The same words for every number: this page knows none."""
        page = self._find_page(program_id)
        return _render("join/done.html", 200, page=page, texts=page.texts) if page else self._unknown()

    def article(self, program_id: str, name: str) -> Response:
        page = self._find_page(program_id)
        if page is None:
            return self._unknown()
        return _render(
            "join/article.html", 200, page=page, texts=page.texts, article=page.texts.articles[name]
        )

    def fault(self, error: Exception) -> HTTPException | Response:
        """A page that needs no database: what to do now, and where to call in danger."""
        answer = answer_fault(error)
        if not isinstance(answer, ServiceUnavailable | InternalServerError):
            return answer
        page = self._show_problem("unavailable", answer.code)
        page.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return page

    def _join(self, page: _Page, phone: PhoneNumber) -> JoinOutcome:
        context = self._runtime.context
        consent = page.texts.consent
        sign_up = WebSignUp(
            phone=phone,
            program_id=page.program.id,
            language=page.texts.language,
            wording=Wording(consent.id, consent.version, consent.text),
            source_ip_hash=context.keyring.hash_newest("join:" + client_address(request)).value,
        )
        return join_by_web(context, sign_up, self._runtime.clock())

    def _read_form(self, page: _Page, typed: str) -> PhoneNumber | _Filled:
        """The number to sign up, or the form again with what is wrong with it."""
        lines = page.texts.lines
        if not _is_own_form() or request.form.get("seen") != _fingerprint(page.texts):
            return _Filled(typed, lines["error_expired"], "form")
        has_agreed = request.form.get("consent") == "yes"
        try:
            phone = parse_joining_phone(self._runtime.context, typed)
        except UntextableNumberError:
            return _Filled(typed, lines["error_untextable"], "phone", has_agreed)
        except InvalidPhoneError:
            return _Filled(typed, lines["error_phone"], "phone", has_agreed)
        return phone if has_agreed else _Filled(typed, lines["error_consent"], "consent")

    def _find_page(self, program_id: str) -> _Page | None:
        with self._runtime.database.read() as session:
            program = list_programs(session).get(program_id)
        if program is None:
            return None
        return _Page(program, self._fill(frequency_of(program, _language()), program.name))

    def _unknown(self) -> Response:
        return self._show_problem("unknown", 404)

    def _show_problem(self, problem: str, status: int) -> Response:
        return _render("join/problem.html", status, page=None, texts=self._fill("", ""), problem=problem)

    def _fill(self, frequency: str, program: str) -> PageTexts:
        texts = self._texts[_language()]
        common = self._runtime.context.common_fields(self._country, _language())
        named = {
            "org_hours": self._runtime.settings.org_hours.replace("-", _NO_BREAK_HYPHEN).replace(
                " ", _NO_BREAK_SPACE
            ),
            "country": texts.lines[f"country_{self._country}"],
            "example": _EXAMPLES[self._country],
            "frequency": frequency,
            "program": program,
        }
        return texts.fill(common | named)

    def _show_form(self, page: _Page, filled: _Filled, status: int = 200) -> Response:
        other = next(name for name in LANGUAGES if name != page.texts.language)
        values = {"page": page, "texts": page.texts, "filled": filled, "other": other}
        values["seen"] = _fingerprint(page.texts)
        return _render("join/form.html", status, csrf_token=generate_csrf(), **values)


def _language() -> str:
    asked = request.args.get("lang") or request.accept_languages.best_match(LANGUAGES)
    return asked if asked in LANGUAGES else LANGUAGES[0]


def _fingerprint(texts: PageTexts) -> str:
    """Which words the visitor saw: a form from before an edit is shown anew, not accepted."""
    return hashlib.sha256(texts.consent.text.encode()).hexdigest()[:16]


def _is_own_form() -> bool:
    try:
        validate_csrf(request.form.get("csrf_token"), time_limit=FORM_OPEN_SECONDS)
    except ValidationError:
        return False
    return True


def _render(template: str, status: int, **values: object) -> Response:
    response = make_response(render_template(template, **values), status)
    response.headers["Vary"] = "Accept-Language, Cookie"
    return response
