"""Telephone numbers: a masked value, one way in for what people type, a fast one for webhooks."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType, ValidationResult
from phonenumbers import timezone as zones_by_prefix

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_FICTIONAL = re.compile(r"\+1(?:[2-9][0-9]{2}55501[0-9]{2}|999[0-9]{7})", re.ASCII)
_TOLL_FREE = re.compile(r"\+18(?:00|33|44|55|66|77|88)[0-9]{7}", re.ASCII)
_PREMIUM = re.compile(r"\+1900[0-9]{7}", re.ASCII)
_COMPANY_TYPES = frozenset({PhoneNumberType.TOLL_FREE, PhoneNumberType.PREMIUM_RATE})
_UNKNOWN_ZONE = "Etc/Unknown"
_ORDINARY_EXCHANGE = "234"
_PLACELESS = "+18005550123"
_REFUSALS = {
    ValidationResult.INVALID_COUNTRY_CODE: "the country code does not exist",
    ValidationResult.TOO_SHORT: "the telephone number is too short",
    ValidationResult.INVALID_LENGTH: "the telephone number has a length that does not exist in its country",
    ValidationResult.TOO_LONG: "the telephone number is too long",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "the telephone number lacks its area code",
}


class InvalidPhoneError(ValueError):
    """What was given cannot be a telephone number. The message never contains it."""


@dataclass(frozen=True, slots=True, repr=False)
class PhoneNumber:
    """A telephone number as E.164 (`e164`, "+" and digits).

    Printing shows the last two digits only, so that a number cannot reach a log, a traceback or a test
    report by accident; whoever needs the whole number says `.e164`.
    """

    e164: str

    def __repr__(self) -> str:
        return f"PhoneNumber(...{self.e164[-2:]})"

    __str__ = __repr__


def parse_phone(raw: str, country: str = "US") -> PhoneNumber:
    """Read a number as a person types it; `country` (ISO code) applies where no country code is given.

    Numbers of a possible length are accepted, not only assigned ones: area codes open faster than tables
    are updated, and the fictional 555-01xx numbers are unassigned. Raises InvalidPhoneError for anything
    else, for extensions (a text cannot reach one) and for letters in place of digits.
    """
    typed = "".join(char for char in raw if unicodedata.category(char) != "Cf").strip()
    if any(char.isalpha() for char in typed):
        raise InvalidPhoneError("a telephone number has digits only: no letters, no extension")
    if not typed.isprintable():
        raise InvalidPhoneError("the telephone number contains an unprintable character")
    try:
        parsed = phonenumbers.parse(typed, country.upper())
    except NumberParseException:
        raise InvalidPhoneError("this is not a telephone number") from None
    if parsed.extension:
        raise InvalidPhoneError("a telephone number with an extension cannot receive texts")
    verdict = phonenumbers.is_possible_number_with_reason(parsed)
    if verdict != ValidationResult.IS_POSSIBLE:
        raise InvalidPhoneError(_REFUSALS.get(verdict, "this is not a telephone number"))
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if _E164.fullmatch(e164) is None:
        raise InvalidPhoneError("the telephone number is too short to receive texts")
    return PhoneNumber(e164)


DIGITS_OF_A_NUMBER = 7


def may_hold_number(words: str) -> bool:
    """Whether words that are kept readable have as many digits as a telephone number, in any script."""
    return sum(char.isdigit() for char in words) >= DIGITS_OF_A_NUMBER


def is_toll_free(e164: str) -> bool:
    """Whether a North American number is toll-free: their carrier keeps opt-outs of its own."""
    return _TOLL_FREE.fullmatch(e164) is not None


def is_company_number(phone: PhoneNumber) -> bool:
    """Whether the number is toll-free or premium, in any country: never somebody's own mobile.

    Under +1 by area code alone (800 and its kin; 900), because unassigned numbers have no type.
    """
    if is_toll_free(phone.e164) or _PREMIUM.fullmatch(phone.e164):
        return True
    return phonenumbers.number_type(phonenumbers.parse(phone.e164)) in _COMPANY_TYPES


def find_sender(raw: str, country: str) -> PhoneNumber | None:
    """The number a text came from. E.164 as providers write it; bare digits count as dialed in `country`.

    None for short codes and names: nobody can be called back there.
    """
    known = find_e164(raw)
    if known is None and raw.isascii() and raw.isdecimal() and len(raw) >= 10:
        return find_phone(raw, country)
    return known


def find_phone(raw: str, country: str = "US") -> PhoneNumber | None:
    """Like `parse_phone`, with None in place of an error."""
    try:
        return parse_phone(raw, country)
    except InvalidPhoneError:
        return None


def find_e164(raw: str) -> PhoneNumber | None:
    """Accept what is already E.164, without the library's tables: the webhook calls this for every text.

    Short codes and alphanumeric senders give None.
    """
    return PhoneNumber(raw) if _E164.fullmatch(raw) else None


def is_fictional(phone: PhoneNumber) -> bool:
    """Whether the number can belong to nobody.

    True for 555-0100 to 555-0199 in any area code (kept for fiction by the North American Numbering Plan)
    and for area code 999, which is unassigned and holds generated load.
    """
    return _FICTIONAL.fullmatch(phone.e164) is not None


def area_timezones(phone: PhoneNumber) -> tuple[str, ...]:
    """The IANA zones in which the number's area code lies; empty when the number names no place.

    A poor guess for mobile numbers, which move with people: use it to narrow the hours in which an
    unconfirmed person may be texted, never to decide where somebody lives.
    """
    zones = _list_zones(phone.e164)
    if not zones and is_fictional(phone):
        zones = _list_zones(phone.e164[:5] + _ORDINARY_EXCHANGE + phone.e164[8:])
    return zones


def country_of(phone: PhoneNumber) -> str:
    """The ISO code of the number's country: "US" for an unassigned number under +1, "ZZ" for no country."""
    parsed = phonenumbers.parse(phone.e164)
    region = phonenumbers.region_code_for_number(parsed)
    if region is None:
        region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return region if region.isalpha() else "ZZ"


def _list_zones(e164: str) -> tuple[str, ...]:
    zones = zones_by_prefix.time_zones_for_number(phonenumbers.parse(e164))
    if zones == _list_whole_plan():
        return ()
    return tuple(zone for zone in zones if zone != _UNKNOWN_ZONE)


@cache
def _list_whole_plan() -> tuple[str, ...]:
    # Toll-free codes, and exchanges that an island does not use, answer with every zone under +1.
    return tuple(zones_by_prefix.time_zones_for_number(phonenumbers.parse(_PLACELESS)))
