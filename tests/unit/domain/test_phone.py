"""Telephone numbers: read leniently, shown never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.phone import (
    InvalidPhoneError,
    PhoneNumber,
    area_timezones,
    country_of,
    find_e164,
    find_phone,
    is_company_number,
    is_fictional,
    parse_phone,
)

NUMBER = PhoneNumber("+12025550123")


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, lambda p: f"{[p]}"])
def test_printing_a_number_shows_two_digits_only(show: object) -> None:
    assert callable(show)
    shown = show(NUMBER)
    assert "...23" in shown
    assert "55501" not in shown


@pytest.mark.parametrize(
    "raw",
    [
        "+12025550123",
        "(202) 555-0123",
        "202.555.0123",
        "1 202 555 0123",
        "  +1 202 555\u20130123\n",
        "\u202a+12025550123\u202c",
        "\uff12\uff10\uff12\uff15\uff15\uff15\uff10\uff11\uff12\uff13",
    ],
)
def test_every_way_of_typing_gives_the_same_number(raw: str) -> None:
    assert parse_phone(raw) == NUMBER


def test_a_country_reads_numbers_without_country_code() -> None:
    assert parse_phone("020 7946 0018", "gb").e164 == "+442079460018"


@pytest.mark.parametrize(
    ("reason", "raw"),
    [
        ("empty", ""),
        ("no digits", "+"),
        ("letters", "1-800-FLOWERS"),
        ("extension in words", "202 555 0123 ext 5"),
        ("extension by sign", "202 555 0123 #5"),
        ("extension by pause", "202 555 0123,,5"),
        ("two numbers", "2025550123 / 2025550124"),
        ("two numbers", "2025550123;2025550124"),
        ("null byte", "\x002025550123"),
        ("null byte inside", "202555\x000123"),
        ("lone surrogate", "\ud8002025550123"),
        ("no area code", "5550123"),
        ("too short", "+1202555012"),
        ("too long", "+120255501234"),
        ("emergency number", "911"),
        ("endless", "2" * 5000),
        ("unknown country code", "+999 202 555 0123"),
    ],
)
def test_what_cannot_be_a_number_is_refused_without_repeating_it(reason: str, raw: str) -> None:
    with pytest.raises(InvalidPhoneError) as error:
        parse_phone(raw)
    message = str(error.value)
    assert not any(char.isdigit() for char in message), reason
    assert "\n" not in message
    assert error.value.__cause__ is None
    assert find_phone(raw) is None


def test_an_unknown_country_is_refused() -> None:
    assert find_phone("2025550123", "XX") is None
    assert find_phone("+12025550123", "XX") == NUMBER


@given(st.text(max_size=40))
def test_no_text_makes_reading_fail_in_another_way(raw: str) -> None:
    found = find_phone(raw)
    assert found is None or find_e164(found.e164) == found


@given(st.integers(200, 998), st.integers(100, 199))
def test_every_fictional_number_is_read_back_as_itself(area: int, line: int) -> None:
    e164 = f"+1{area}5550{line}"
    phone = parse_phone(e164)
    assert phone.e164 == e164
    assert is_fictional(phone)


@pytest.mark.parametrize(
    "raw", ["12345", "+123456", "+02025550123", "INFOLINE", "+1202555012x", "+12025550123\n", ""]
)
def test_short_codes_and_named_senders_are_no_numbers(raw: str) -> None:
    assert find_e164(raw) is None


def test_a_number_of_the_webhook_is_taken_as_it_is() -> None:
    assert find_e164("+12025550123") == NUMBER


@pytest.mark.parametrize(
    ("e164", "expected"),
    [
        ("+12025550100", True),
        ("+12025550199", True),
        ("+12025550200", False),
        ("+12025550099", False),
        ("+12025540123", False),
        ("+19991234567", True),
        ("+19981234567", False),
        ("+442025550123", False),
        ("+120255501234", False),
    ],
)
def test_only_numbers_of_nobody_are_fictional(e164: str, expected: bool) -> None:
    assert is_fictional(PhoneNumber(e164)) is expected


@pytest.mark.parametrize(
    ("e164", "zones"),
    [
        ("+12025550123", ("America/New_York",)),
        ("+14155550123", ("America/Los_Angeles",)),
        ("+16025550123", ("America/Phoenix",)),
        ("+18085550123", ("Pacific/Honolulu",)),
        ("+12085550123", ("America/Boise", "America/Los_Angeles")),
        ("+18685550123", ("America/Port_of_Spain",)),
        ("+18005550123", ()),
        ("+19995550123", ()),
        ("+390612345678", ("Europe/Rome",)),
    ],
)
def test_an_area_code_names_the_zones_it_lies_in(e164: str, zones: tuple[str, ...]) -> None:
    assert area_timezones(PhoneNumber(e164)) == zones


@pytest.mark.parametrize(
    ("e164", "country"),
    [
        ("+12025550123", "US"),
        ("+14165550123", "CA"),
        ("+19995550123", "US"),
        ("+442079460018", "GB"),
        ("+80012345678", "ZZ"),
    ],
)
def test_a_number_has_a_country(e164: str, country: str) -> None:
    assert country_of(PhoneNumber(e164)) == country


COMPANY_NUMBERS = [
    ("+18005550147", True, "toll-free"),
    ("+18885550147", True, "toll-free, a later code"),
    ("+19005550147", True, "premium under +1"),
    ("+448081570147", True, "toll-free in Britain (a number kept for drama)"),
    ("+449098790147", True, "premium in Britain (a number kept for drama)"),
    ("+447700900123", False, "a British mobile"),
    ("+12025550123", False, "an ordinary number"),
    ("+14165550123", False, "an ordinary number in Canada"),
    ("+19995550123", False, "generated load"),
]


@pytest.mark.parametrize(("e164", "expected", "reason"), COMPANY_NUMBERS)
def test_toll_free_and_premium_numbers_are_no_persons(e164: str, expected: bool, reason: str) -> None:
    assert is_company_number(PhoneNumber(e164)) is expected, reason
