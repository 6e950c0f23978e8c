"""Reading a meeting server's listing: as recorded, as documented, and as broken as they come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.local_time import UnknownZoneError
from service.domain.meetings import MeetingListing, Venue
from service.gateways.meetings.bmlt import FeedError, MeetingFeed, read_bmlt

DATA = Path(__file__).parents[2] / "data" / "bmlt"
ZONE = "America/New_York"


def make_row(**changes: Any) -> dict[str, Any]:
    """A row with every documented field, all of them strings, as a server writes it."""
    return {
        "id_bigint": "7",
        "weekday_tinyint": "3",
        "venue_type": "1",
        "start_time": "18:30:00",
        "duration_time": "01:30:00",
        "time_zone": "",
        "formats": "O,D",
        "lang_enum": "en",
        "longitude": "-75.2",
        "latitude": "43.1",
        "meeting_name": "Evening Circle",
        "location_text": "Example Hall",
        "location_info": "side door",
        "location_street": "1 Example Street",
        "location_municipality": "Utica",
        "location_province": "NY",
        "location_postal_code_1": "13501",
        "phone_meeting_number": "",
        "virtual_meeting_link": "",
        "virtual_meeting_additional_info": "",
        "published": "1",
    } | changes


def read(*rows: Any) -> MeetingFeed:
    return read_bmlt(json.dumps(list(rows)).encode(), ZONE)


def read_one(**changes: Any) -> MeetingListing:
    feed = read(make_row(**changes))
    assert feed.problems == ()
    (listing,) = feed.listings
    return listing


def say(feed: MeetingFeed) -> list[tuple[int, str | None, str]]:
    return [(one.row, one.external_id, one.message) for one in feed.problems]


@pytest.mark.parametrize(
    ("day", "weekday", "count", "first"),
    [
        (2, 1, 53, ("2566", "Step up and Be Free", time(19, 0), "128 Main street", ("O", "RF", "To"))),
        (3, 2, 54, ("1795", "New Hope", time(12, 0), "32 East Main St.", ("O", "B", "BT", "D", "St", "WC"))),
        (
            4,
            3,
            62,
            ("2533", "Never Look Back", time(18, 30), "301 East Miller Street", ("O", "RF", "WC", "NS")),
        ),
    ],
)
def test_a_recorded_answer_is_read_whole(
    day: int, weekday: int, count: int, first: tuple[str, str, time, str, tuple[str, ...]]
) -> None:
    content = (DATA / f"meeting-search-42.867970-day{day}.json").read_bytes()

    feed = read_bmlt(content, ZONE)

    one = feed.listings[0]
    assert (len(feed.listings), feed.problems) == (count, ())
    assert (one.external_id, one.name, one.starts_at, one.address, one.formats) == first
    assert {listing.weekday for listing in feed.listings} == {weekday}
    assert {(listing.timezone, listing.venue) for listing in feed.listings} == {(ZONE, Venue.IN_PERSON)}
    assert all(listing.latitude and listing.longitude and listing.city for listing in feed.listings)
    assert read_bmlt(json.dumps(json.loads(content)["meetings"]).encode(), ZONE) == feed


def test_a_documented_row_is_read_field_by_field() -> None:
    assert read_one() == MeetingListing(
        external_id="7",
        name="Evening Circle",
        fellowship="NA",
        weekday=2,
        starts_at=time(18, 30),
        duration=timedelta(minutes=90),
        timezone=ZONE,
        venue=Venue.IN_PERSON,
        place="Example Hall",
        address="1 Example Street",
        city="Utica",
        region="NY",
        postal_code="13501",
        latitude=43.1,
        longitude=-75.2,
        join_notes="side door",
        formats=("O", "D"),
        language="en",
    )


@pytest.mark.parametrize(
    ("changes", "name", "place", "address"),
    [
        pytest.param(
            {"meeting_name": "Circle www.evil.example"},
            "Circle",
            "Example Hall",
            "1 Example Street",
            id="link",
        ),
        pytest.param(
            {"meeting_name": "#@-@#https://evil.example/x"},
            "NA Meeting",
            "Example Hall",
            "1 Example Street",
            id="nothing but a link",
        ),
        pytest.param(
            {"location_text": "Hall, call 202-555-0123", "location_street": "bit.ly/x"},
            "Evening Circle",
            "Hall, call",
            None,
            id="a number and a link as place and street",
        ),
    ],
)
def test_names_and_places_hold_nothing_to_tap_and_the_ways_to_join_stay(
    changes: dict[str, str], name: str, place: str, address: str | None
) -> None:
    listing = read_one(
        **changes, virtual_meeting_link="https://zoom.example/j/1", phone_meeting_number="+12025550123"
    )

    assert (listing.name, listing.place, listing.address) == (name, place, address)
    assert (listing.join_url, listing.join_phone) == ("https://zoom.example/j/1", "+12025550123")


def test_an_id_a_weekday_and_a_time_are_enough() -> None:
    feed = read({"id_bigint": 7, "weekday_tinyint": 1, "start_time": "7:05"})

    (one,) = feed.listings
    assert feed.problems == ()
    assert (one.external_id, one.weekday, one.starts_at) == ("7", 7, time(7, 5))
    assert (one.name, one.venue, one.timezone, one.duration) == ("NA Meeting", Venue.IN_PERSON, ZONE, None)
    assert (one.is_published, one.is_temporarily_closed) == (True, False)


@pytest.mark.parametrize(("code", "weekday"), [("1", 7), ("2", 1), ("3", 2), ("6", 5), ("7", 6)])
def test_the_servers_week_begins_on_sunday(code: str, weekday: int) -> None:
    assert read_one(weekday_tinyint=code).weekday == weekday


LINK = {"virtual_meeting_link": "https://example.org/join"}
PHONE = {"phone_meeting_number": "+1 202 555 0123"}
NOWHERE = {"location_text": "", "location_street": ""}

VENUES = [
    pytest.param({"venue_type": "1"}, Venue.IN_PERSON, False, id="in person"),
    pytest.param({"venue_type": "2"} | LINK, Venue.VIRTUAL, False, id="virtual"),
    pytest.param({"venue_type": "3"} | LINK, Venue.HYBRID, False, id="hybrid"),
    pytest.param({"venue_type": 2} | LINK, Venue.VIRTUAL, False, id="a number instead of a string"),
    pytest.param({"venue_type": "2"} | PHONE, Venue.PHONE, False, id="virtual with a number only"),
    pytest.param({"venue_type": "2"} | PHONE | LINK, Venue.VIRTUAL, False, id="virtual with both"),
    pytest.param({"venue_type": "", "formats": "VM"} | LINK, Venue.VIRTUAL, False, id="code for virtual"),
    pytest.param({"venue_type": "", "formats": "HY"} | LINK, Venue.HYBRID, False, id="code for hybrid"),
    pytest.param({"venue_type": "", "formats": "VM,HY"} | LINK, Venue.HYBRID, False, id="both codes"),
    pytest.param({"venue_type": "2", "formats": "HY"} | LINK, Venue.VIRTUAL, False, id="type before code"),
    pytest.param(
        {"venue_type": "1", "formats": "VM"} | LINK, Venue.VIRTUAL, False, id="old row: code counts"
    ),
    pytest.param({"venue_type": "1", "formats": "TC"}, Venue.IN_PERSON, True, id="closed"),
    pytest.param({"venue_type": "2", "formats": "VM,TC"} | LINK, Venue.VIRTUAL, False, id="online for now"),
    pytest.param({"venue_type": "", "formats": "VM,TC"} | LINK, Venue.VIRTUAL, False, id="same by codes"),
    pytest.param({"venue_type": ""} | LINK, Venue.HYBRID, False, id="a place and a link"),
    pytest.param({"venue_type": ""} | LINK | NOWHERE, Venue.VIRTUAL, False, id="a link only"),
    pytest.param({"venue_type": ""} | PHONE | NOWHERE, Venue.PHONE, False, id="a number only"),
    pytest.param({"venue_type": "9"}, Venue.IN_PERSON, False, id="a type nobody knows"),
]


@pytest.mark.parametrize(("fields", "venue", "is_closed"), VENUES)
def test_the_venue_comes_from_type_codes_or_what_is_offered(
    fields: Mapping[str, Any], venue: Venue, is_closed: bool
) -> None:
    one = read_one(**fields)

    assert (one.venue, one.is_temporarily_closed) == (venue, is_closed)


@pytest.mark.parametrize(
    ("published", "expected"),
    [("1", True), ("0", False), (0, False), (1, True), (False, False), (None, True), ("", True)],
)
def test_a_row_is_published_unless_it_says_no(published: Any, expected: bool) -> None:
    assert read_one(published=published).is_published is expected


def test_codes_are_kept_whether_known_or_not() -> None:
    assert read_one(formats=" O, XYZ1,,Ünï ,O").formats == ("O", "XYZ1", "Ünï")


def test_a_rows_own_zone_wins() -> None:
    assert read_one(time_zone="America/Denver").timezone == "America/Denver"


POSITIONS = [
    pytest.param("0", "0", id="not looked up"),
    pytest.param("0.000000", "-0.0", id="not looked up, spelled out"),
    pytest.param("", "", id="empty"),
    pytest.param("43.1", None, id="half of it"),
    pytest.param("north", "west", id="words"),
    pytest.param("nan", "inf", id="not numbers"),
    pytest.param("91", "10", id="beyond the pole"),
    pytest.param("10", "-181", id="beyond the date line"),
    pytest.param([43.1], {"a": 1}, id="structures"),
]


@pytest.mark.parametrize(("latitude", "longitude"), POSITIONS)
def test_a_position_that_is_none_is_left_out(latitude: Any, longitude: Any) -> None:
    one = read_one(latitude=latitude, longitude=longitude)

    assert (one.latitude, one.longitude) == (None, None)


TEXTS = [
    pytest.param("  Evening \r\n\t Circle ", "Evening Circle", id="white space"),
    pytest.param("Tom &amp; Ann&#039;s", "Tom & Ann's", id="entities"),
    pytest.param("Tom &amp;amp; Ann", "Tom & Ann", id="doubled entities"),
    pytest.param("Evening<br/>Circle", "Evening Circle", id="tags"),
    pytest.param("&lt;script&gt;x", "x", id="tags in disguise"),
    pytest.param("5 < 6 > 4, I <3 you", "5 < 6 > 4, I <3 you", id="not tags"),
    pytest.param("Eve\x00ning\x07\u202e\u200b Circle\ud800", "Evening Circle", id="control characters"),
    pytest.param("می\u200cخواهم", "می\u200cخواهم", id="joiners are letters"),
    pytest.param("Cafe\u0301", "Café", id="composed"),
    pytest.param("Meeting Name#@-@#Evening Circle", "Evening Circle", id="a prompt before the value"),
    pytest.param("x" * 300, "x" * 255, id="over-long"),
    pytest.param(" \u200b ", "NA Meeting", id="nothing visible"),
    pytest.param({"en": "x"}, "NA Meeting", id="a structure"),
    pytest.param(True, "NA Meeting", id="a truth value"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_what_people_typed_is_cleaned(text: Any, expected: str) -> None:
    assert read_one(meeting_name=text).name == expected


def test_contact_persons_are_never_read() -> None:
    contacts = {
        f"contact_{what}_{n}": "Someone Private" for what in ("name", "phone", "email") for n in (1, 2)
    }

    one = read_one(**contacts, comments="ask Someone Private")

    assert "Someone Private" not in repr(astuple(one))


def test_how_to_get_in_is_one_note() -> None:
    one = read_one(location_info="Room 2", virtual_meeting_additional_info="Passcode: 123")

    assert one.join_notes == "Room 2; Passcode: 123"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"weekday_tinyint": "0"}, id="a weekday from 0"),
        pytest.param({"weekday_tinyint": "8"}, id="an eighth weekday"),
        pytest.param({"weekday_tinyint": "Monday"}, id="a weekday by name"),
        pytest.param({"weekday_tinyint": None}, id="no weekday"),
        pytest.param({"start_time": "24:00:00"}, id="the end of the day"),
        pytest.param({"start_time": "18:60:00"}, id="a sixtieth minute"),
        pytest.param({"start_time": "6:30 PM"}, id="a twelve-hour clock"),
        pytest.param({"start_time": "١٨:٣٠:٠٠"}, id="other digits"),
        pytest.param({"start_time": ""}, id="no time"),
    ],
)
def test_a_row_without_its_time_is_left_out_and_named(change: dict[str, Any]) -> None:
    (field,) = change

    feed = read(make_row(id_bigint="1"), make_row(**change), make_row(id_bigint="9"))

    assert [one.external_id for one in feed.listings] == ["1", "9"]
    ((row, external_id, message),) = say(feed)
    assert (row, external_id) == (2, "7")
    assert field in message


@pytest.mark.parametrize("row", [None, [], "x", 3, {}, {"id_bigint": ""}, {"id_bigint": "9" * 81}])
def test_a_row_that_is_none_is_left_out_and_named(row: Any) -> None:
    feed = read(make_row(), row)

    assert len(feed.listings) == 1
    assert [(one.row, one.external_id) for one in feed.problems] == [(2, None)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"time_zone": "EST"}, "timezone"),
        ({"time_zone": "America/Nowhere"}, "timezone"),
        ({"duration_time": "an hour"}, "duration"),
        ({"duration_time": "25:00:00"}, "duration"),
        ({"duration_time": "01:30:00 or so"}, "duration"),
        ({"virtual_meeting_link": "javascript:alert(1)"}, "join_url"),
        ({"virtual_meeting_link": "ask us"}, "join_url"),
        ({"virtual_meeting_link": "https://[broken"}, "join_url"),
        ({"virtual_meeting_link": "https://example.org/" + "x" * 2000}, "join_url"),
    ],
)
def test_a_row_with_a_lesser_fault_is_kept_without_it_and_named(change: dict[str, Any], field: str) -> None:
    (name,) = change

    feed = read(make_row(**change))

    (one,) = feed.listings
    assert getattr(one, field) == (ZONE if field == "timezone" else None)
    ((row, external_id, message),) = say(feed)
    assert (row, external_id) == (1, "7")
    assert name in message


def test_a_duration_of_nothing_is_unknown() -> None:
    assert read_one(duration_time="00:00:00").duration is None


def test_a_link_ends_at_the_first_space() -> None:
    one = read_one(virtual_meeting_link="https://example.org/j/1?pwd=a&amp;b=c Passcode 123")

    assert one.join_url == "https://example.org/j/1?pwd=a&b=c"


def test_of_two_rows_with_the_same_id_the_first_is_kept() -> None:
    feed = read(make_row(), make_row(meeting_name="Impostor"), make_row(id_bigint="8"))

    assert [(one.external_id, one.name) for one in feed.listings] == [
        ("7", "Evening Circle"),
        ("8", "Evening Circle"),
    ]
    ((row, external_id, message),) = say(feed)
    assert (row, external_id) == (2, "7")
    assert "earlier row" in message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_read_in_any_encoding(encoding: str) -> None:
    content = json.dumps([make_row(meeting_name="Círculo “Día”")], ensure_ascii=False).encode(encoding)

    feed = read_bmlt(content, ZONE)

    assert (feed.listings[0].name, feed.problems) == ("Círculo “Día”", ())


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("cp1252", "Círculo “Día”"), ("latin-1", "Círculo\x81 Día")],
)
def test_a_western_encoding_is_read_and_said(encoding: str, name: str) -> None:
    content = json.dumps([make_row(meeting_name=name)], ensure_ascii=False).encode(encoding)

    feed = read_bmlt(content, ZONE)

    assert feed.listings[0].name == name.replace("\x81", "")
    ((row, external_id, message),) = say(feed)
    assert (row, external_id) == (0, None)
    assert "UTF-8" in message


WHOLE = json.dumps([make_row(), make_row(id_bigint="8")]).encode()

FAULTS = [
    pytest.param(b"", "empty", id="nothing"),
    pytest.param(b"\xef\xbb\xbf \n", "empty", id="a byte order mark"),
    pytest.param(b"\n<!DOCTYPE html><html>", "web page", id="a web page"),
    pytest.param(b'<?xml version="1.0"?>', "web page", id="the XML answer"),
    pytest.param(WHOLE[:-1], "cut off", id="the last character is missing"),
    pytest.param(WHOLE[: WHOLE.index(b"Example") + 3], "cut off", id="cut within a text"),
    pytest.param(WHOLE[: WHOLE.index(b"Example") - 1], "cut off", id="cut before a value"),
    pytest.param(WHOLE + b"]", "not JSON", id="something after the end"),
    pytest.param(b"id,weekday\n1,2", "not JSON", id="a table"),
    pytest.param(b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "not JSON", id="a compressed file"),
    pytest.param(b"[" * 100_000, "not JSON", id="absurdly deep"),
    pytest.param(b"[" + b"9" * 5000 + b"]", "not JSON", id="an absurd number"),
    pytest.param(b"[]", "no meetings", id="an empty list"),
    pytest.param(b'{"meetings": [], "formats": []}', "no meetings", id="an empty answer"),
    pytest.param(b"{}", "no list", id="an empty object"),
    pytest.param(b'{"message": "Not found"}', "no list", id="an error message"),
    pytest.param(b'{"meetings": {"1": {}}}', "no list", id="an object of meetings"),
    pytest.param(b"null", "no list", id="null"),
    pytest.param(b'"meetings"', "no list", id="a text"),
    pytest.param(b"[1, 2, 3]", "no list of meetings", id="a list of numbers"),
    pytest.param((DATA / "formats.json").read_bytes(), "no list of meetings", id="the list of formats"),
]


@pytest.mark.parametrize(("content", "expected"), FAULTS)
def test_content_that_is_no_listing_is_refused_with_one_line(content: bytes, expected: str) -> None:
    with pytest.raises(FeedError, match=expected) as caught:
        read_bmlt(content, ZONE)
    assert "\n" not in str(caught.value)


def test_the_zone_of_the_listing_must_be_one() -> None:
    with pytest.raises(UnknownZoneError):
        read_bmlt(WHOLE, "EST")


@pytest.mark.parametrize("cut", range(1, len(WHOLE), 7))
def test_a_listing_cut_anywhere_is_never_taken_for_whole(cut: int) -> None:
    with pytest.raises(FeedError):
        read_bmlt(WHOLE[:cut], ZONE)


values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text()))


@given(st.lists(st.dictionaries(st.sampled_from(sorted(make_row())), values)))
def test_no_row_stops_the_others(rows: list[dict[str, Any]]) -> None:
    feed = read(*rows, make_row(id_bigint="the last"))

    assert feed.listings[-1].external_id == "the last"
    left_out = len(rows) + 1 - len(feed.listings)
    assert len({one.row for one in feed.problems}) >= left_out
    for listing in feed.listings:
        assert 1 <= listing.weekday <= 7
        assert listing.name.isprintable()
