"""A whole runtime around a test database, and browsers without a browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service.config import Settings
from service.domain.phone import PhoneNumber
from service.gateways.sms.simulator import SimulatedCarrier, SimulatorTransport, WebAnswer
from service.store.messages import Message
from service.web.answer_floor import AnswerFloor
from service.web.app import create_app
from service.wiring import Runtime, build_runtime, simulator_token
from tests.conftest import FakeClock

NO_WAIT = AnswerFloor(sleep=lambda _seconds: None)
"""The sign-up page's answers come at once."""


@pytest.fixture
def runtime(settings: Settings, clock: FakeClock) -> Iterator[Runtime]:
    """The service with the simulated provider, whose signed requests go straight into the application."""
    built = build_runtime(settings, system=clock)
    clients: list[FlaskClient] = []

    def post(url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> WebAnswer:
        path = url.removeprefix(settings.public_url)
        answer = clients[0].post(path, data=dict(fields), headers=dict(headers))
        return WebAnswer(answer.status_code, answer.content_type, answer.data)

    token = simulator_token(settings)
    transport = SimulatorTransport(settings.public_url, token, post)
    wired = replace(
        built,
        transport=transport,
        simulator=transport,
        carrier=SimulatedCarrier(settings.public_url, token, post=post),
    )
    clients.append(create_app(wired, floor=NO_WAIT).test_client())
    yield wired
    transport.close()
    built.close()


@pytest.fixture
def client(runtime: Runtime) -> FlaskClient:
    return create_app(runtime, floor=NO_WAIT).test_client()


def text_from(runtime: Runtime, phone: PhoneNumber, *bodies: str) -> list[str]:
    """Let a phone text; returns the answers to the last text."""
    assert runtime.carrier is not None
    answers: list[str] = []
    for body in bodies:
        answers = runtime.carrier.text_in(phone, body)
    return answers


def list_messages(runtime: Runtime) -> list[Message]:
    with runtime.database.read() as session:
        return list(session.scalars(select(Message).order_by(Message.id)))


def list_sent(runtime: Runtime) -> list[Message]:
    """What went out unprompted."""
    return [message for message in list_messages(runtime) if message.accepted_at and not message.inbound_id]
