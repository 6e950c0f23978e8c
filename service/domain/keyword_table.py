"""The keyword table: the words of `messages/keywords.yaml`, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from service.domain.time_of_day import TimeOfDay
from service.domain.wordings import WordingError, Wordings, normalize

_SECTIONS = frozenset(
    {
        "keywords",
        "languages",
        "pause_numbers",
        "pause_units",
        "times",
        "time_fillers",
        "keeps",
        "politeness",
        "pause_fillers",
        "courtesy",
        "clause_breaks",
        "reactions",
        "provider_words",
        "lists",
        "stop_wordings",
        "stop_exceptions",
        "wrong_number_wordings",
        "wrong_number_exceptions",
    }
)


_ASKS = "ask"
"""Words after TIME that ask which times there are."""


class Keyword(StrEnum):
    """A word that does one thing when it is the whole message."""

    STOP = "stop"
    START = "start"
    YES = "yes"
    NO = "no"
    HELP = "help"
    INFO = "info"
    JOIN = "join"
    PAUSE = "pause"
    RESUME = "resume"
    LANG = "lang"
    WRONG = "wrong"
    MORE = "more"
    LESS = "less"
    TIME = "time"
    KEEP = "keep"


class KeywordTableError(ValueError):
    """The keyword table is wrong. The message says where and how."""


@dataclass(frozen=True, slots=True)
class KeywordTable:
    """The words of `messages/keywords.yaml`, checked and ready to be matched (all normalized).

    `times` has the part of the day of each word after TIME, and None for words that ask which there are.
    """

    words: Mapping[str, Keyword]
    languages: Mapping[str, str]
    pause_numbers: Mapping[str, int]
    pause_units: Mapping[str, int]
    pause_fillers: frozenset[str]
    times: Mapping[str, str | None]
    time_fillers: frozenset[str]
    keeps: frozenset[str]
    politeness: frozenset[str]
    courtesy: frozenset[str]
    clause_breaks: frozenset[str]
    reactions: frozenset[str]
    stop: Wordings
    stop_exceptions: Wordings
    wrong_number: Wordings
    wrong_number_exceptions: Wordings
    provider_words: frozenset[str]


def parse_keyword_table(data: Mapping[str, object]) -> KeywordTable:
    """Check the table and prepare it. Raises KeywordTableError naming what is wrong.

    A word may stand under one keyword only, in whatever language: the reader does not know which language
    a message is in.
    """
    unknown, missing = sorted(set(data) - _SECTIONS), sorted(_SECTIONS - set(data))
    if unknown or missing:
        raise KeywordTableError(f"keywords: unknown sections {unknown}, missing sections {missing}")
    lists = {name: _read_words(words, f"lists.{name}") for name, words in _read_map(data, "lists").items()}
    languages = _read_languages(data)
    return KeywordTable(
        words=_read_keywords(data, languages),
        languages=languages,
        pause_numbers=_read_numbers(data, "pause_numbers"),
        pause_units=_read_numbers(data, "pause_units"),
        pause_fillers=frozenset(_read_words(data["pause_fillers"], "pause_fillers")),
        times=_read_times(data),
        time_fillers=frozenset(_read_words(data["time_fillers"], "time_fillers")),
        keeps=_read_keeps(data),
        politeness=frozenset(_read_words(data["politeness"], "politeness")),
        courtesy=frozenset(_read_words(data["courtesy"], "courtesy")),
        clause_breaks=frozenset(_read_words(data["clause_breaks"], "clause_breaks")),
        reactions=frozenset(_read_words(data["reactions"], "reactions")),
        stop=_read_wordings(data, "stop_wordings", lists),
        stop_exceptions=_read_wordings(data, "stop_exceptions", lists),
        wrong_number=_read_wordings(data, "wrong_number_wordings", lists),
        wrong_number_exceptions=_read_wordings(data, "wrong_number_exceptions", lists),
        provider_words=_read_provider_words(data),
    )


def _read_keywords(data: Mapping[str, object], languages: Mapping[str, str]) -> dict[str, Keyword]:
    found: dict[str, Keyword] = {}
    for name, by_language in _read_map(data, "keywords").items():
        if name not in set(Keyword):
            raise KeywordTableError(f"keywords.{name}: there is no such keyword")
        for language, words in _read_map({name: by_language}, name).items():
            for word in _read_words(words, f"keywords.{name}.{language}"):
                if found.get(word, name) != name or word in languages:
                    raise KeywordTableError(
                        f"keywords.{name}.{language}: {word!r} already means something else"
                    )
                found[word] = Keyword(name)
    if missing := sorted(set(Keyword) - set(found.values())):
        raise KeywordTableError(f"keywords: no words for {', '.join(missing)}")
    return found


def _read_languages(data: Mapping[str, object]) -> dict[str, str]:
    found: dict[str, str] = {}
    for language, words in _read_map(data, "languages").items():
        for word in _read_words(words, f"languages.{language}"):
            if found.setdefault(word, language) != language:
                raise KeywordTableError(f"languages.{language}: {word!r} already means {found[word]}")
    return found


def _read_keeps(data: Mapping[str, object]) -> frozenset[str]:
    return frozenset(
        word
        for language, words in _read_map(data, "keeps").items()
        for word in _read_words(words, f"keeps.{language}")
    )


def _read_times(data: Mapping[str, object]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, words in _read_map(data, "times").items():
        if name not in {*TimeOfDay, _ASKS}:
            raise KeywordTableError(f"times.{name}: expected one of {', '.join(TimeOfDay)}, {_ASKS}")
        part = None if name == _ASKS else name
        for word in _read_words(words, f"times.{name}"):
            if found.setdefault(word, part) != part:
                raise KeywordTableError(f"times.{name}: {word!r} already means {found[word]}")
    if missing := [part for part in TimeOfDay if part not in found.values()]:
        raise KeywordTableError(f"times: no words for {', '.join(missing)}")
    return found


def _read_wordings(data: Mapping[str, object], key: str, lists: Mapping[str, Sequence[str]]) -> Wordings:
    lines = data[key]
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise KeywordTableError(f"{key}: must be a list of patterns")
    try:
        return Wordings(lines, lists)
    except WordingError as error:
        raise KeywordTableError(f"{key}: {error}") from error


def _read_provider_words(data: Mapping[str, object]) -> frozenset[str]:
    groups = _read_map(data, "provider_words")
    return frozenset(
        word for name, words in groups.items() for word in _read_words(words, f"provider_words.{name}")
    )


def _read_numbers(data: Mapping[str, object], key: str) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for word, value in _read_map(data, key).items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise KeywordTableError(f"{key}.{word}: must be a whole number of at least 1")
        numbers[normalize(word)] = value
    return numbers


def _read_map(data: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = data[key]
    if not isinstance(value, Mapping):
        raise KeywordTableError(f"{key}: must be a mapping")
    for name in value:
        if not isinstance(name, str):
            raise KeywordTableError(f"{key}: {name!r} is not text; put it in quotes")
    return value


def _read_words(value: object, where: str) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise KeywordTableError(f"{where}: must be a list of words")
    for word in value:
        if not isinstance(word, str):
            raise KeywordTableError(f"{where}: {word!r} is not text; put it in quotes")
        if not normalize(word):
            raise KeywordTableError(f"{where}: {word!r} has no letters")
    return [normalize(word) for word in value]
