"""Texts with placeholders can be filled in, and can do nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.template import TemplateError, choose_wording, placeholders, render


@pytest.mark.parametrize(
    ("reason", "text", "expected"),
    [
        ("a text without any stays as it is", "Good morning.", "Good morning."),
        ("one is filled in", "{org}: hello", "River House: hello"),
        ("every time it appears", "{org} {org}", "River House River House"),
        ("side by side", "{org}{phone}", "River House202-555-0100"),
        ("doubled braces stand for themselves", "{{org}} {org}", "{org} River House"),
        ("three braces are a brace and a placeholder", "{{{org}}}", "{River House}"),
        ("a percent sign means nothing", "100 %s %(org)s $org", "100 %s %(org)s $org"),
        ("nor does a backslash", r"\1 \g<0> {org}", r"\1 \g<0> River House"),
    ],
)
def test_placeholders_are_filled_in(reason: str, text: str, expected: str) -> None:
    assert render(text, {"org": "River House", "phone": "202-555-0100"}) == expected, reason


@pytest.mark.parametrize(
    ("reason", "text", "problem"),
    [
        ("no value", "Hi {name}", "no value for the placeholder {name}"),
        ("an attribute", "{org.__class__}", "'{org.__class__}' is no placeholder"),
        ("an item", "{org[0]}", "'{org[0]}' is no placeholder"),
        ("a conversion", "{org!r}", "'{org!r}' is no placeholder"),
        ("a format", "{org:>99999999}", "'{org:>99999999}' is no placeholder"),
        ("a position", "{0}", "'{0}' is no placeholder"),
        ("nothing inside", "{}", "'{}' is no placeholder"),
        ("capitals", "{Org}", "'{Org}' is no placeholder"),
        ("a space", "{ org }", "'{ org }' is no placeholder"),
        ("an opening brace alone", "a { b", "a stray '{'"),
        ("a closing brace alone", "a } b", "a stray '}'"),
        ("one inside the other", "{a{org}}", "a stray '{'"),
        ("a whole sentence in braces is not repeated", "{" + "x y" * 40 + "}", "a stray '{'"),
    ],
)
def test_anything_else_in_braces_is_refused_by_name(reason: str, text: str, problem: str) -> None:
    with pytest.raises(TemplateError) as error:
        render(text, {"org": "River House"})
    assert str(error.value).startswith(problem), reason


@pytest.mark.parametrize("text", ["{org!r}", "a { b", "} {org}"])
def test_a_broken_text_is_found_before_it_is_ever_rendered(text: str) -> None:
    with pytest.raises(TemplateError):
        placeholders(text)


def test_the_names_of_the_placeholders_are_listed_once() -> None:
    assert placeholders("{org} {{not}} {phone} {org}") == {"org", "phone"}


def test_an_error_never_shows_a_value() -> None:
    with pytest.raises(TemplateError) as error:
        render("{label} {missing}", {"label": "sister's birthday"})
    assert "sister" not in str(error.value)


@given(value=st.text())
def test_a_value_is_inserted_as_it_is_and_never_read_as_a_text(value: str) -> None:
    assert render("<{label}>", {"label": value, "org": "River House"}) == f"<{value}>"


@given(text=st.text(st.sampled_from("{}ab_.!:[]0 "), max_size=30))
def test_what_has_known_placeholders_only_can_always_be_rendered(text: str) -> None:
    try:
        names = placeholders(text)
    except TemplateError:
        with pytest.raises(TemplateError):
            render(text, {})
        return
    body = render(text, dict.fromkeys(names, ""))
    assert len(body) <= len(text)


@given(text=st.text())
def test_any_text_with_doubled_braces_is_rendered_as_itself(text: str) -> None:
    assert render(text.replace("{", "{{").replace("}", "}}"), {}) == text


@pytest.mark.parametrize(
    ("reason", "wordings", "language", "plain", "expected"),
    [
        ("discreet is the default", {"en", "en_plain"}, "en", False, "en"),
        ("plain when chosen", {"en", "en_plain"}, "en", True, "en_plain"),
        ("discreet when there is no plain", {"en"}, "en", True, "en"),
        ("the person's language", {"en", "es"}, "es", False, "es"),
        ("plain in the person's language", {"en", "es", "en_plain", "es_plain"}, "es", True, "es_plain"),
        ("language before plainness", {"en", "es", "en_plain"}, "es", True, "es"),
        ("English when the language is missing", {"en", "es"}, "fr", False, "en"),
        ("plain English when the language is missing", {"en", "en_plain"}, "es", True, "en_plain"),
    ],
)
def test_a_person_gets_the_wording_they_can_read(
    reason: str, wordings: set[str], language: str, plain: bool, expected: str
) -> None:
    assert choose_wording(wordings, language, plain=plain) == expected, reason


def test_a_text_without_english_has_no_wording_for_everyone() -> None:
    with pytest.raises(TemplateError, match="nor in English"):
        choose_wording({"es"}, "fr")
