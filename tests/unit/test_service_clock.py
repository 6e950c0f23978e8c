"""One time for all machines: the service's clock is the database's, whatever the machine's own says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from service.store.clock import TRUSTED_FOR_SECONDS, ServiceClock
from service.store.database import DatabaseBusyError

START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


class Server:
    """A database's clock that can go away, and the seconds that pass meanwhile."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.asked = 0
        self.error = 0.0
        self.is_away = False
        self.answer_takes = 0.0

    def read(self) -> datetime:
        self.asked += 1
        if self.is_away:
            raise DatabaseBusyError
        self.seconds += self.answer_takes
        return START + timedelta(seconds=self.seconds - self.answer_takes / 2 + self.error)

    def true_time(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock(server: Server) -> Callable[[], datetime]:
    return ServiceClock(server.read, lambda: server.seconds)


def test_the_database_is_asked_once_a_second_and_counted_on_in_between(
    server: Server, clock: Callable[[], datetime]
) -> None:
    for _ in range(40):
        assert clock() == server.true_time()
        server.seconds += 0.1
    assert server.asked in (4, 5)


def test_half_of_the_way_there_and_back_is_taken_off(server: Server, clock: Callable[[], datetime]) -> None:
    server.answer_takes = 0.4
    assert clock() == server.true_time()


def test_a_database_whose_clock_is_set_right_is_believed(
    server: Server, clock: Callable[[], datetime]
) -> None:
    server.error = 3600
    assert clock() == server.true_time() + timedelta(hours=1)
    server.error = 0
    server.seconds += 1
    assert clock() == server.true_time()


def test_while_the_database_is_away_time_goes_on_for_a_minute_and_no_longer(
    server: Server, clock: Callable[[], datetime]
) -> None:
    clock()
    server.is_away = True
    server.seconds += TRUSTED_FOR_SECONDS - 1
    assert clock() == server.true_time()
    asked = server.asked
    assert clock() == server.true_time()
    assert server.asked == asked, "a database that is away is not asked at every call"
    server.seconds += 2
    with pytest.raises(DatabaseBusyError):
        clock()
    server.is_away = False
    assert clock() == server.true_time()


def test_without_any_answer_there_is_no_time(server: Server, clock: Callable[[], datetime]) -> None:
    server.is_away = True
    with pytest.raises(DatabaseBusyError):
        clock()
