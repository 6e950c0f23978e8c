"""The provider's webhooks: texts in, receipts, and the fallback that needs nothing of ours to work."""

from __future__ import annotations

import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import InternalServerError

from service.domain.provider_answers import LARGEST_CODE, known_code
from service.domain.twiml import EMPTY_RESPONSE, TwimlText, build_twiml
from service.gateways.sms.signature import SETTINGS_HEADER, SIGNATURE_HEADER
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from service.usecases.sending.receipts import Receipt, record_receipt
from service.web.faults import answer_fault
from service.wiring import Runtime

MAX_BODY_BYTES = 64 * 1024
"""The provider's forms have a few kilobytes."""

log = structlog.get_logger(__name__)


def build_blueprint(runtime: Runtime) -> Blueprint:
    """Routes under /twilio/. All answers are XML: anything else could reach a person as a text."""
    blueprint = Blueprint("twilio", __name__, url_prefix="/twilio")
    fault = runtime.context.catalog.get("reply/fault", "en")
    fallback_answer = build_twiml([TwimlText(fault.body)])

    @blueprint.post("/inbound")
    def inbound() -> Response:
        if (refusal := _find_refusal(runtime, "inbound")) is not None:
            return refusal
        try:
            answer = receive_text(runtime.context, IncomingText(request.form.to_dict()), runtime.clock())
        except Exception as error:  # the provider retries on 503 and then asks the fallback address
            log.error("inbound_not_stored", fault=type(error).__name__)
            return _xml(EMPTY_RESPONSE, 503)
        return _xml(answer)

    @blueprint.post("/status")
    def status() -> Response:
        if (refusal := _find_refusal(runtime, "status")) is not None:
            return refusal
        receipt = Receipt(
            reference=request.args.get("ref", "")[:64],
            provider_message_id=request.form.get("MessageSid") or None,
            status=(request.form.get("MessageStatus") or request.form.get("SmsStatus") or "").lower(),
            error_code=_code(request.form.get("ErrorCode")),
        )
        try:
            record_receipt(runtime.context, receipt, runtime.clock())
        except Exception as error:
            log.error("receipt_not_stored", fault=type(error).__name__)
            return _xml(EMPTY_RESPONSE, 503)
        return Response(status=204)

    @blueprint.route("/fallback", methods=["GET", "POST"])
    def fallback() -> Response:
        return _xml(fallback_answer)

    blueprint.register_error_handler(Exception, _answer_fault)
    return blueprint


def _answer_fault(error: Exception) -> Response:
    """What nobody foresaw is a 503, too: the provider tries again and then asks the fallback address."""
    answer = answer_fault(error)
    is_ours = isinstance(answer, InternalServerError)
    return _xml(EMPTY_RESPONSE, 503 if is_ours else answer.code or 503)


def _find_refusal(runtime: Runtime, route: str) -> Response | None:
    status = _refuse_unread() or (None if _is_signed(runtime) else 403)
    if status is None:
        return None
    log.warning("forged_webhook", route=route, status=status)
    return _xml(EMPTY_RESPONSE, status)


def _refuse_unread() -> int | None:
    """The status for a request whose body is not worth reading, from its headers alone.

    A body may come as slowly as its sender likes and holds a thread meanwhile: a stranger's is never read.
    """
    if not request.headers.get(SIGNATURE_HEADER):
        return 403
    length = request.content_length
    if length is None:
        return 411
    return 413 if length > MAX_BODY_BYTES else None


def _is_signed(runtime: Runtime) -> bool:
    query = request.query_string.decode("latin-1")
    url = runtime.settings.public_url + request.path + (f"?{query}" if query else "")
    return runtime.signatures.is_signed(
        url,
        request.form,
        request.headers.get(SIGNATURE_HEADER, ""),
        settings=request.headers.get(SETTINGS_HEADER, ""),
    )


def _xml(body: str, status: int = 200) -> Response:
    return Response(body, status=status, content_type="text/xml; charset=utf-8")


def _code(value: str | None) -> int | None:
    is_number = value and value.isascii() and value.isdecimal() and len(value) <= len(str(LARGEST_CODE))
    return known_code(int(value)) if value and is_number else None
