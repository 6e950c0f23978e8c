"""Reading a text: the exact keywords, and what a reasonable person would mean as "stop" or "wrong number".

The words are data (`messages/keywords.yaml`). Rule for stop: 47 CFR 64.1200(a)(10), any words that a
reasonable person would understand as a request to stop. Rule for exact words: the provider's own lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.keyword_table import Keyword, KeywordTable, KeywordTableError, parse_keyword_table
from service.domain.wordings import Wordings, normalize, split_clauses

__all__ = [
    "Keyword",
    "KeywordTable",
    "KeywordTableError",
    "TextReading",
    "normalize",
    "parse_keyword_table",
    "read_text",
]

_LONGEST_JOIN_CODE = 3
_LONGEST_REACTION = 24
_WITH_POLITENESS = frozenset({Keyword.MORE, Keyword.LESS, Keyword.TIME, Keyword.KEEP})
_MAY_KEEP = frozenset({Keyword.YES, Keyword.RESUME, Keyword.KEEP})
_OPENING_QUOTES, _CLOSING_QUOTES = '"“«', '"”»'


@dataclass(frozen=True, slots=True)
class TextReading:
    """What a message says.

    `keyword`: the one keyword that is the whole message; `is_exact` is true exactly then (courtesy around
    a stop word, "stop please", is nothing else said; nor is it around MORE, LESS, TIME and KEEP).
    `argument`: of JOIN the code with hyphens ("first-year"), of PAUSE the days ("3"), of TIME the part of the
    day (None asks), of LANG the language ("es"; also for the word ESPANOL alone).
    `is_stop` and `is_wrong_number` are true for keywords and for free wordings. `is_provider_word`: the
    provider itself answers this message where it handles opt-outs. `may_keep`: to who is asked whether texts
    should go on it means KEEP.
    """

    keyword: Keyword | None
    argument: str | None
    is_exact: bool
    is_stop: bool
    is_wrong_number: bool
    is_provider_word: bool
    may_keep: bool = False


def read_text(body: str, table: KeywordTable) -> TextReading:
    """Read one inbound text. Reads the first 1,600 characters and never raises, whatever they are."""
    keyword, argument = _find_keyword(body, table)
    clauses = [] if _is_reaction(body, table) else split_clauses(body, table.clause_breaks)
    return TextReading(
        keyword=keyword,
        argument=argument,
        is_exact=keyword is not None,
        is_stop=keyword is Keyword.STOP or _says(clauses, table.stop, table.stop_exceptions, table.courtesy),
        is_wrong_number=keyword is Keyword.WRONG
        or _says(clauses, table.wrong_number, table.wrong_number_exceptions, table.courtesy),
        is_provider_word=body.isascii() and body.strip().lower() in table.provider_words,
        may_keep=keyword in _MAY_KEEP or _trim_politeness(normalize(body), table) in table.keeps,
    )


def _find_keyword(body: str, table: KeywordTable) -> tuple[Keyword | None, str | None]:
    whole = normalize(body)
    if whole in table.languages:
        return Keyword.LANG, table.languages[whole]
    if whole in table.words:
        return table.words[whole], None
    if _is_only_stop(body, table):
        return Keyword.STOP, None
    polite = _trim_politeness(whole, table)
    if (keyword := table.words.get(polite)) in _WITH_POLITENESS:
        return keyword, None
    head, _, rest = polite.partition(" ")
    if table.words.get(head) is Keyword.TIME:
        return _find_time(rest.split(), table)
    head, _, rest = whole.partition(" ")
    keyword = table.words.get(head)
    argument = _find_argument(keyword, rest, table) if rest else None
    return (keyword, argument) if argument else (None, None)


def _find_argument(keyword: Keyword | None, rest: str, table: KeywordTable) -> str | None:
    words = rest.split()
    if keyword is Keyword.JOIN and len(words) <= _LONGEST_JOIN_CODE:
        return "-".join(words)
    if keyword is Keyword.LANG:
        return table.languages.get(rest, rest if rest in table.languages.values() else None)
    if keyword is Keyword.PAUSE:
        return _find_days([word for word in words if word not in table.pause_fillers], table)
    return None


def _find_time(words: Sequence[str], table: KeywordTable) -> tuple[Keyword | None, str | None]:
    """What follows TIME: a part of the day, or a time of the clock or a word that asks, or else talk."""
    said = [word for word in words if word not in table.time_fillers]
    phrase = " ".join(said)
    if phrase in table.times:
        return Keyword.TIME, table.times[phrase]
    is_clock = bool(said) and all(word[0].isdigit() or word in table.times for word in said)
    return (Keyword.TIME if is_clock else None), None


def _find_days(words: Sequence[str], table: KeywordTable) -> str | None:
    if not 1 <= len(words) <= 2:
        return None
    number = table.pause_numbers.get(words[0])
    if number is None and words[0].isascii() and words[0].isdigit() and len(words[0]) <= 3:
        number = int(words[0])
    unit = table.pause_units.get(words[1]) if len(words) == 2 else 1
    return str(number * unit) if number is not None and unit is not None else None


def _is_only_stop(body: str, table: KeywordTable) -> bool:
    """Stop words and courtesy, and nothing else; also drawn out ("stooop") or spelled out ("s t o p")."""
    words = _trim([word for clause in split_clauses(body) for word in clause], table.courtesy)
    if not words:
        return False
    if table.words.get(" ".join(words)) is Keyword.STOP:
        return True
    if all(len(word) == 1 for word in words):
        return table.words.get("".join(words)) is Keyword.STOP
    return all(table.words.get(word) is Keyword.STOP for word in words)


def _says(
    clauses: Sequence[Sequence[str]], wordings: Wordings, exceptions: Wordings, courtesy: frozenset[str]
) -> bool:
    for clause in clauses:
        whole, trimmed = clause, _trim(clause, courtesy)
        if wordings.is_said(exceptions.blank_out(whole)):
            return True
        if len(trimmed) < len(whole) and wordings.is_said(exceptions.blank_out(trimmed)):
            return True
    return False


def _trim(words: Sequence[str], courtesy: frozenset[str]) -> Sequence[str]:
    start, end = 0, len(words)
    while start < end and words[start] in courtesy:
        start += 1
    while end > start and words[end - 1] in courtesy:
        end -= 1
    return words[start:end]


def _trim_politeness(whole: str, table: KeywordTable) -> str:
    return " ".join(_trim(whole.split(), table.politeness))


def _is_reaction(body: str, table: KeywordTable) -> bool:
    """Phones send a "like" as a text that quotes ours, stop instruction included: nobody's own words."""
    text = body.strip()
    opening = next((at for at, char in enumerate(text[:_LONGEST_REACTION]) if char in _OPENING_QUOTES), 0)
    return opening > 0 and text[-1] in _CLOSING_QUOTES and normalize(text[:opening]) in table.reactions
