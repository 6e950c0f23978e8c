"""A sender of many texts is no longer answered at once: the full path looks whether it is a loop."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from service.catalog import Catalog
from service.domain.loop_guard import BUSY_LIMITS, Limit
from service.store.inbound import InboundMessage
from service.store.keyring import Keyring
from service.usecases.context import Context
from service.usecases.inbound.at_once import find_answer_at_once
from service.usecases.inbound.receive_text import receive_text
from tests.conftest import NOW
from tests.integration.test_at_once import add_person, open_line, phone_of, text_of


@pytest.fixture
def at_once(request: pytest.FixtureRequest, keyring: Keyring, catalog: Catalog) -> Iterator[Context]:
    server, template = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_template")
    name = server.create(template=template)
    with open_line(server.url_of(name), keyring, catalog) as context:
        yield context
    server.drop(name)


@pytest.mark.parametrize("limit", BUSY_LIMITS)
def test_who_has_sent_many_texts_waits_for_the_full_path(at_once: Context, limit: Limit) -> None:
    add_person(at_once, phone_of(1), "active")
    first = NOW - limit.within + timedelta(seconds=1)
    for number in range(limit.texts):
        text = text_of(phone_of(1), f"it is day {number} here", f"SM{number}")
        assert receive_text(at_once, text, first)

    assert find_answer_at_once(at_once, text_of(phone_of(1), "HELP", "SMlast"), NOW) is None
    with at_once.database.read() as session:
        count = session.scalar(select(func.count()).where(InboundMessage.provider_message_id == "SMlast"))
    assert count == 0, "nothing is left behind"
    later = NOW + timedelta(seconds=1)
    assert find_answer_at_once(at_once, text_of(phone_of(1), "HELP", "SMlast"), later), (
        "slower: at once again"
    )


def test_looking_for_a_crowd_costs_no_statement_of_its_own(at_once: Context) -> None:
    add_person(at_once, phone_of(1), "active")
    statements: list[str] = []

    def note(*of_execution: Any) -> None:
        statements.append(of_execution[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert find_answer_at_once(at_once, text_of(phone_of(1), "HELP", "SM1"), NOW)
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert len([one for one in statements if one.startswith(("SELECT", "WITH"))]) == 2
