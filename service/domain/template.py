"""Texts with placeholders: `{name}` and nothing cleverer, so that a text can never run anything."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

_TOKEN = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}|\{[^{}]{0,40}\}|[{}]")


class TemplateError(ValueError):
    """A text cannot be rendered; names the placeholder and never a value."""


def placeholders(text: str) -> frozenset[str]:
    """Names of the placeholders in a text. Raises TemplateError for a brace that is no placeholder's."""
    return frozenset(name for match in _TOKEN.finditer(text) if (name := _name_of(match)))


def render(text: str, fields: Mapping[str, str]) -> str:
    """Fill in every placeholder, once: braces in a value stay as they are.

    Raises TemplateError when one has no value, or for a brace that is no placeholder's. Doubled braces
    stand for themselves.
    """

    def fill(match: re.Match[str]) -> str:
        name = _name_of(match)
        if name is None:
            return match[0][0]
        if name not in fields:
            raise TemplateError(f"no value for the placeholder {{{name}}}")
        return fields[name]

    return _TOKEN.sub(fill, text)


def _name_of(match: re.Match[str]) -> str | None:
    """The placeholder's name; None for a doubled brace."""
    if match[0] in ("{{", "}}"):
        return None
    if match[1]:
        return match[1]
    if len(match[0]) > 1:
        raise TemplateError(f"{match[0]!r} is no placeholder; expected a name in braces, like {{org}}")
    raise TemplateError(f"a stray {match[0]!r}; expected {{{{ or }}}} for the character itself")


def choose_wording(wordings: Container[str], language: str, *, plain: bool = False) -> str:
    """Which wording a person gets: `es_plain`, `es`, `en_plain` or `en`, whichever comes first and exists.

    Their language comes before plainness: an explicit text that they cannot read helps nobody. Raises
    TemplateError when there is not even an English one.
    """
    for candidate in dict.fromkeys((language, "en")):
        names = (f"{candidate}_plain", candidate) if plain else (candidate,)
        for name in names:
            if name in wordings:
                return name
    raise TemplateError(f"no wording in {language!r} nor in English")
