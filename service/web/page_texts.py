"""Loads the words of the web pages from messages/pages/ and fills in who we are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

LANGUAGES = ("en", "es")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class PageTextError(Exception):
    """A file of page texts is missing, incomplete or not readable; one line that names the file."""


@dataclass(frozen=True, slots=True)
class Section:
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Article:
    """A page of plain text, such as the privacy page."""

    title: str
    intro: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class ConsentText:
    """The sentence a visitor agrees to; `id` and `version` go into the record with the exact words."""

    id: str
    version: int
    text: str


@dataclass(frozen=True, slots=True)
class PageTexts:
    """The sign-up pages in one language."""

    language: str
    consent: ConsentText
    lines: Mapping[str, str]
    articles: Mapping[str, Article]

    def fill(self, fields: Mapping[str, str]) -> PageTexts:
        """The same texts with every placeholder filled in. Raises PageTextError for one that has no value."""
        return PageTexts(
            self.language,
            ConsentText(self.consent.id, self.consent.version, _fill(self.consent.text, fields)),
            {key: _fill(text, fields) for key, text in self.lines.items()},
            {
                name: Article(
                    article.title,
                    _fill(article.intro, fields),
                    tuple(Section(part.heading, _fill(part.text, fields)) for part in article.sections),
                )
                for name, article in self.articles.items()
            },
        )


@dataclass(frozen=True, slots=True)
class PhoneWords:
    """The words of the simulated phone: what to try, and what our own short words mean."""

    tries: Mapping[str, tuple[str, ...]]
    statuses: Mapping[str, str]
    states: Mapping[str, str]
    kinds: Mapping[str, str]
    sources: Mapping[str, str]

    def origin(self, source: str, step: str) -> str:
        """A sentence for what a text comes from."""
        return self.sources.get(source, step).replace("{step}", step.replace("-", " "))


def load_join_texts(folder: Path) -> dict[str, PageTexts]:
    """The sign-up pages by language, every language with the same keys. Raises PageTextError."""
    texts = {language: _parse_join(folder / f"join.{language}.yaml") for language in LANGUAGES}
    first = texts[LANGUAGES[0]]
    for language, other in texts.items():
        if other.language != language:
            raise PageTextError(f"join.{language}.yaml: language must be {language}")
        if other.consent.id != first.consent.id:
            raise PageTextError(f"join.{language}.yaml: consent.id differs from the other languages")
        different = set(other.lines) ^ set(first.lines) | set(other.articles) ^ set(first.articles)
        if different:
            raise PageTextError(f"join.{language}.yaml: only one language has {', '.join(sorted(different))}")
    return texts


def load_phone_words(folder: Path) -> PhoneWords:
    """The words of the simulated phone. Raises PageTextError."""
    path = folder / "phone.en.yaml"
    data = _read(path)
    try:
        return PhoneWords(
            tries={str(language): tuple(map(str, words)) for language, words in data["tries"].items()},
            statuses=_words(data["statuses"]),
            states=_words(data["states"]),
            kinds=_words(data["kinds"]),
            sources=_words(data["sources"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise PageTextError(f"{path.name}: a part is missing or of the wrong kind ({error})") from None


def _parse_join(path: Path) -> PageTexts:
    data = _read(path)
    try:
        consent = data["consent"]
        return PageTexts(
            language=str(data["language"]),
            consent=ConsentText(str(consent["id"]), int(consent["version"]), str(consent["text"])),
            lines=_words(data["lines"]),
            articles={str(name): _article(article) for name, article in data["pages"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PageTextError(f"{path.name}: a part is missing or of the wrong kind ({error})") from None


def _article(data: Mapping[str, Any]) -> Article:
    sections = tuple(Section(str(part["heading"]), str(part["text"])) for part in data["sections"])
    return Article(str(data["title"]), str(data["intro"]), sections)


def _words(data: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in data.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise PageTextError(f"{path.name}: cannot be read ({type(error).__name__})") from None
    if not isinstance(data, dict):
        raise PageTextError(f"{path.name}: is not a table of keys")
    return cast(dict[str, Any], data)


def _fill(text: str, fields: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        try:
            return fields[match[1]]
        except KeyError:
            raise PageTextError(f"no value for the placeholder {match[1]}") from None

    return _PLACEHOLDER.sub(value, text)
