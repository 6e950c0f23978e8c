"""The Flask application, built around a runtime."""

from __future__ import annotations

from flask import Flask, Response

from service.web import health, join, metrics, phone, twilio
from service.web.answer_floor import AnswerFloor
from service.web.faults import answer_fault
from service.web.proxies import trust_proxies
from service.wiring import Runtime

MAX_FORM_BYTES = 256 * 1024

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Permissions-Policy": "interest-cohort=()",
}


def create_app(runtime: Runtime, *, floor: AnswerFloor | None = None) -> Flask:
    """Build the web application. Every request reads the clock once, at its entry point.

    `floor` is how long the sign-up page takes to answer, whatever it found.
    """
    app = Flask(__name__)
    app.config["SECRET_KEY"] = runtime.settings.secret_key.get_secret_value()
    app.config["MAX_CONTENT_LENGTH"] = MAX_FORM_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_FORM_BYTES
    app.config["SESSION_COOKIE_HTTPONLY"] = True
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.config["SESSION_COOKIE_SECURE"] = runtime.settings.public_url.startswith("https://")
    app.url_map.strict_slashes = False
    trust_proxies(app, runtime.settings.trusted_proxies)
    app.register_blueprint(twilio.build_blueprint(runtime))
    app.register_blueprint(health.build_blueprint(runtime))
    app.register_blueprint(metrics.build_blueprint(runtime))
    app.register_blueprint(join.build_blueprint(runtime, floor or AnswerFloor()))
    if runtime.carrier is not None:
        app.register_blueprint(phone.build_blueprint(runtime))
    app.register_error_handler(Exception, answer_fault)
    app.after_request(_add_headers)
    return app


def _add_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
