"""Signatures of the provider's webhooks: the published example, and every way they are known to fail."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from service.gateways.sms.signature import SignatureChecker, is_signed, sign

TOKEN = "12345"
EXAMPLE_URL = "https://example.com/twilio/inbound"
TEXT = {"Body": "hello", "From": "+12025550123", "OptOutType": ""}


def test_the_published_example_is_signed() -> None:
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    caller = "+1415" + "8675309"  # the provider's example, so the number cannot be one of ours
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": caller,
        "Digits": "1234",
        "From": caller,
        "To": "+1800" + "5551212",
    }
    assert sign(url, form, TOKEN) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert is_signed(url, form, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", [TOKEN])


@pytest.mark.parametrize(
    ("url", "form", "reason"),
    [
        ("http://example.com/twilio/inbound", TEXT, "http where the provider used https, behind a proxy"),
        ("https://example.com/twilio/inbound/", TEXT, "a trailing slash"),
        ("https://www.example.com/twilio/inbound", TEXT, "another host"),
        ("https://example.com/twilio/inbound?ref=1", TEXT, "a query that was not signed"),
        (EXAMPLE_URL, {"Body": "hello", "From": "+12025550123"}, "an empty field was dropped"),
        (EXAMPLE_URL, TEXT | {"Body": "hello "}, "white space was touched"),
        (EXAMPLE_URL, TEXT | {"From": "+12025550124"}, "another sender"),
        (EXAMPLE_URL, TEXT | {"Extra": "1"}, "a field was added"),
        (EXAMPLE_URL, {}, "no form"),
        ("https://example.com:99999/twilio/inbound", TEXT, "an impossible port"),
        ("https://[::1/twilio/inbound", TEXT, "not a URL"),
        ("", TEXT, "no URL"),
        (EXAMPLE_URL, TEXT | {"Body": "\ud800"}, "text that cannot be encoded"),
    ],
)
def test_anything_changed_is_not_signed(url: str, form: dict[str, str], reason: str) -> None:
    assert not is_signed(url, form, sign(EXAMPLE_URL, TEXT, TOKEN), [TOKEN]), reason


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        (None, "a missing header"),
        ("", "an empty header"),
        ("é" * 28, "not ASCII"),
        ("A" * 28, "the right length, the wrong content"),
        ("A" * 100_000, "absurdly long"),
        ("\x00", "a control character"),
    ],
)
def test_a_strange_header_is_not_signed(signature: str | None, reason: str) -> None:
    assert not is_signed(EXAMPLE_URL, TEXT, signature, [TOKEN]), reason


@pytest.mark.parametrize(
    ("signed_url", "url", "reason"),
    [
        (EXAMPLE_URL, "https://example.com:443/twilio/inbound", "we name the port, they did not"),
        ("https://example.com:443/twilio/inbound", EXAMPLE_URL, "they named the port, we do not"),
        (EXAMPLE_URL + "#rc=5&rp=all", EXAMPLE_URL, "the fragment never travels"),
        (EXAMPLE_URL, EXAMPLE_URL + "#rc=5&rp=all", "nor does it if it is in the configured address"),
        (
            "http://127.0.0.1:8000/twilio/status?ref=ab%20c&x=",
            "http://127.0.0.1:8000/twilio/status?ref=ab%20c&x=",
            "the query is taken as it is, escapes and empty values included",
        ),
    ],
)
def test_equal_addresses_are_signed(signed_url: str, url: str, reason: str) -> None:
    assert is_signed(url, TEXT, sign(signed_url, TEXT, TOKEN), [TOKEN]), reason


def test_a_repeated_field_counts_with_all_its_values() -> None:
    form = MultiDict([("MediaUrl", "b"), ("MediaUrl", "a"), ("Body", "")])
    signature = sign(EXAMPLE_URL, form, TOKEN)
    assert is_signed(EXAMPLE_URL, form, signature, [TOKEN])
    assert not is_signed(EXAMPLE_URL, form.to_dict(flat=True), signature, [TOKEN])


def test_any_of_several_tokens_may_have_signed() -> None:
    checker = SignatureChecker(["new-token", "old-token"])
    assert checker.is_signed(EXAMPLE_URL, TEXT, sign(EXAMPLE_URL, TEXT, "old-token"))
    assert checker.is_signed(EXAMPLE_URL, TEXT, sign(EXAMPLE_URL, TEXT, "new-token"))
    assert not checker.is_signed(EXAMPLE_URL, TEXT, sign(EXAMPLE_URL, TEXT, "foreign"))


@pytest.mark.parametrize("tokens", [[], [""], ["good", ""], "a-string-is-a-sequence-too"])
def test_a_checker_without_a_usable_token_is_refused(tokens: list[str]) -> None:
    with pytest.raises(ValueError, match="none of them empty"):
        SignatureChecker(tokens)


def test_nobody_can_sign_with_an_empty_token() -> None:
    assert not is_signed(EXAMPLE_URL, TEXT, sign(EXAMPLE_URL, TEXT, ""), [""])
    assert not is_signed(EXAMPLE_URL, TEXT, sign(EXAMPLE_URL, TEXT, ""), [])


def test_a_shared_key_names_its_algorithm() -> None:
    checker = SignatureChecker(["shared-secret"])
    # Computed from the definition: HMAC-SHA256 over the URL and the sorted fields, base64.
    signature = "VYByV6xgtoymqWYYM/0yxjmAtjDBpMiuFJdt1ndI9Aw="
    settings = "key=webhooks_sharedkey_01,algorithm=HMAC_SHA256"
    assert checker.is_signed(EXAMPLE_URL, TEXT, signature, settings)
    assert not checker.is_signed(EXAMPLE_URL, TEXT, signature)


def test_an_unknown_algorithm_is_not_signed_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    checker = SignatureChecker([TOKEN])
    with caplog.at_level(logging.DEBUG):
        settings = "key=1,algorithm=ROT13"
        assert not checker.is_signed(EXAMPLE_URL, TEXT, sign(EXAMPLE_URL, TEXT, TOKEN), settings)
    assert caplog.records == []


@given(
    st.dictionaries(st.text(max_size=10), st.text(max_size=30), max_size=8), st.text(min_size=1, max_size=20)
)
def test_what_we_sign_we_recognize(form: dict[str, str], token: str) -> None:
    assert is_signed(EXAMPLE_URL, form, sign(EXAMPLE_URL, form, token), [token])


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_input_at_all_makes_the_check_raise(url: str, signature: str, settings: str) -> None:
    assert not SignatureChecker([TOKEN]).is_signed(url, TEXT, signature, settings)
