"""Texts with placeholders: `{name}` and nothing cleverer, so that a text can never run anything."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TOKEN = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}|[{}]")


class TemplateError(ValueError):
    """A text cannot be rendered; names the placeholder and never a value."""


def placeholders(text: str) -> frozenset[str]:
    """Names of the placeholders in a text. Raises TemplateError for a stray brace."""
    names = set()
    for match in _TOKEN.finditer(text):
        if match.group(1):
            names.add(match.group(1))
        elif match.group(0) in "{}":
            raise TemplateError(f"a stray {match.group(0)!r}; write {{{{ or }}}} for the character itself")
    return frozenset(names)


def render(text: str, fields: Mapping[str, str]) -> str:
    """Fill in every placeholder. Raises TemplateError when one has no value."""

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name:
            if name not in fields:
                raise TemplateError(f"no value for the placeholder {{{name}}}")
            return fields[name]
        if match.group(0) in ("{{", "}}"):
            return match.group(0)[0]
        raise TemplateError(f"a stray {match.group(0)!r}; write {{{{ or }}}} for the character itself")

    return _TOKEN.sub(fill, text)
