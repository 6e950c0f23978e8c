"""What a text means: exact keywords, stop in any wording, wrong numbers."""

from __future__ import annotations

import copy
import string
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from service.domain.keywords import (
    Keyword,
    KeywordTable,
    KeywordTableError,
    normalize,
    parse_keyword_table,
    read_text,
)
from tests.unit.domain.wordings_table import DOES_NOT_MEAN_STOP, MEANS_STOP, NOT_WRONG_NUMBER, WRONG_NUMBER

HERE = Path(__file__).parent
DATA: dict[str, Any] = yaml.safe_load((HERE.parents[2] / "messages/keywords.yaml").read_text("utf-8"))
TABLE = parse_keyword_table(DATA)
CPU_LIMIT = 0.1


def rows(table: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(reason, text) for reason, texts in table.items() for text in texts]


def lines(name: str) -> list[str]:
    return (HERE / name).read_text("utf-8").splitlines()


class TestKeywords:
    @pytest.mark.parametrize(
        ("text", "keyword", "argument"),
        [
            ("STOP", Keyword.STOP, None),
            ("Stop!!", Keyword.STOP, None),
            ("stop please", Keyword.STOP, None),
            ("STOP thanks", Keyword.STOP, None),
            ("pls stop", Keyword.STOP, None),
            ("s t o p", Keyword.STOP, None),
            ("S.T.O.P.", Keyword.STOP, None),
            ("STOP STOP STOP", Keyword.STOP, None),
            ("stooooop", Keyword.STOP, None),
            ("stop all", Keyword.STOP, None),
            ("OPT-OUT", Keyword.STOP, None),
            ("opt out", Keyword.STOP, None),
            ("revoke", Keyword.STOP, None),
            ("ALTO.", Keyword.STOP, None),
            ("¡Baja!", Keyword.STOP, None),
            ("cancelar por favor", Keyword.STOP, None),
            ("start", Keyword.START, None),
            ("Sí", Keyword.YES, None),
            ("no.", Keyword.NO, None),
            ("¿Ayuda?", Keyword.HELP, None),
            ("HELP 🙏", Keyword.HELP, None),
            ("info", Keyword.INFO, None),
            ("Join", Keyword.JOIN, None),
            ("JOIN first-year", Keyword.JOIN, "first-year"),
            ("join Ninety Days!", Keyword.JOIN, "ninety-days"),
            ("pause", Keyword.PAUSE, None),
            ("PAUSE 3", Keyword.PAUSE, "3"),
            ("pause 3 days", Keyword.PAUSE, "3"),
            ("pause for a week please", Keyword.PAUSE, "7"),
            ("PAUSA 3 días", Keyword.PAUSE, "3"),
            ("seguir", Keyword.RESUME, None),
            ("LANG es", Keyword.LANG, "es"),
            ("idioma inglés", Keyword.LANG, "en"),
            ("ESPAÑOL", Keyword.LANG, "es"),
            ("english", Keyword.LANG, "en"),
            ("less please", Keyword.LESS, None),
            ("Fewer texts!", Keyword.LESS, None),
            ("text me less", Keyword.LESS, None),
            ("Por favor menos mensajes", Keyword.LESS, None),
            ("MAS", Keyword.MORE, None),
            ("más mensajes por favor", Keyword.MORE, None),
            ("more, thank you", Keyword.MORE, None),
            ("time", Keyword.TIME, None),
            ("TIME MORNING", Keyword.TIME, "morning"),
            ("please time in the morning thanks", Keyword.TIME, "morning"),
            ("HORA MAÑANA", Keyword.TIME, "morning"),
            ("hora manana", Keyword.TIME, "morning"),
            ("HORA MEDIODÍA", Keyword.TIME, "midday"),
            ("hora por la tarde", Keyword.TIME, "evening"),
            ("TIME 1", Keyword.TIME, "morning"),
            ("HORA UNO", Keyword.TIME, "morning"),
            ("TIME 4", Keyword.TIME, None),
            ("time 9 am", Keyword.TIME, None),
            ("time afternoon", Keyword.TIME, None),
            ("keep please", Keyword.KEEP, None),
            ("wrong", Keyword.WRONG, None),
            ("número equivocado", Keyword.WRONG, None),
        ],
    )
    def test_the_whole_message_is_the_keyword(
        self, text: str, keyword: Keyword, argument: str | None
    ) -> None:
        reading = read_text(text, TABLE)
        assert (reading.keyword, reading.argument, reading.is_exact) == (keyword, argument, True)
        assert reading.is_stop is (keyword is Keyword.STOP)
        assert reading.is_wrong_number is (keyword is Keyword.WRONG)

    @pytest.mark.parametrize(
        ("reason", "text"),
        [
            ("more is said", "help im overdosing"),
            ("more is said", "yes but not today"),
            ("a program's own word is looked up by the caller", "sunrise"),
            ("not a length of time", "pause my life"),
            ("not a length of time", "pause 3 4 5"),
            ("a sentence, not a code", "join me at the meeting tonight please"),
            ("an unknown language", "lang xx"),
            ("ordinary talk", "more or less"),
            ("ordinary talk", "mas o menos"),
            ("ordinary talk", "less is more"),
            ("ordinary talk", "one more time"),
            ("ordinary talk", "time for bed"),
            ("ordinary talk", "time flies"),
            ("ordinary talk", "hora de dormir"),
            ("ordinary talk", "time 30 days"),
            ("only to who was asked", "keep going"),
            ("only to who was asked", "continue"),
            ("nothing is said", ""),
            ("nothing is said", "🙂"),
        ],
    )
    def test_a_message_that_says_more_or_something_else_is_no_keyword(self, reason: str, text: str) -> None:
        reading = read_text(text, TABLE)
        assert (reading.keyword, reading.argument, reading.is_exact) == (None, None, False), reason

    @pytest.mark.parametrize(
        ("text", "may_keep"),
        [
            ("yes", True),
            ("Sí", True),
            ("seguir", True),
            ("KEEP", True),
            ("Keep going, please", True),
            ("continue", True),
            ("no", False),
            ("keep calm", False),
            ("keep going to meetings", False),
            ("yes but not today", False),
        ],
    )
    def test_what_says_yes_to_going_on_is_known_as_that(self, text: str, *, may_keep: bool) -> None:
        assert read_text(text, TABLE).may_keep is may_keep

    @given(
        word=st.sampled_from(sorted(TABLE.words)),
        flips=st.lists(st.booleans(), min_size=40, max_size=40),
        before=st.text(" \t\n\u200b.,;!?*\"'¡¿“”-", max_size=5),
        after=st.text(" \t\n\u200b.,;!?*\"'“”…🙂-", max_size=5),
        accent=st.sampled_from(["", "\u0301", "\u0303", "\u0308"]),
    )
    def test_case_punctuation_space_and_accents_never_change_a_keyword(
        self, word: str, flips: list[bool], before: str, after: str, accent: str
    ) -> None:
        shown = "".join(c.upper() if flip else c for c, flip in zip(word, flips, strict=False))
        reading = read_text(f"{before}{shown}{accent}{after}", TABLE)
        assert (reading.keyword, reading.is_exact) == (TABLE.words[word], True)

    @given(st.text(st.characters() | st.sampled_from("\x00\ud800\udfff\u202e\ufdfa"), max_size=300))
    def test_no_text_whatever_makes_reading_fail(self, text: str) -> None:
        assert read_text(text, TABLE).is_exact in {True, False}

    def test_the_words_of_a_message_are_open_to_callers_with_words_of_their_own(self) -> None:
        assert normalize("  ¡¡Don’t  STÓP\u200b!! ") == "dont stop"

    def test_only_the_first_1600_characters_are_read(self) -> None:
        assert not read_text("a " * 800 + "unsubscribe me", TABLE).is_stop


class TestProviderWords:
    @pytest.mark.parametrize("text", ["STOP", " stop\n", "Yes", "OptOut", "end", "INFO", "unstop"])
    def test_the_provider_answers_one_of_its_words_alone(self, text: str) -> None:
        assert read_text(text, TABLE).is_provider_word

    @pytest.mark.parametrize(
        "text", ["STOP.", "stop please", "opt out", "ALTO", "\u017ftop", "no", "", "stop all"]
    )
    def test_the_provider_does_not_answer_anything_else(self, text: str) -> None:
        assert not read_text(text, TABLE).is_provider_word


class TestStopInAnyWording:
    @pytest.mark.parametrize(("reason", "text"), rows(MEANS_STOP))
    def test_a_reasonable_person_would_mean_stop(self, reason: str, text: str) -> None:
        assert read_text(text, TABLE).is_stop, reason

    @pytest.mark.parametrize(("reason", "text"), rows(DOES_NOT_MEAN_STOP))
    def test_the_words_of_stopping_mean_something_else(self, reason: str, text: str) -> None:
        assert not read_text(text, TABLE).is_stop, reason

    @pytest.mark.parametrize("text", lines("texts_that_mean_stop.txt"))
    def test_collected_texts_that_mean_stop(self, text: str) -> None:
        assert read_text(text, TABLE).is_stop

    @pytest.mark.parametrize("text", lines("texts_that_do_not_mean_stop.txt"))
    def test_collected_texts_that_do_not_mean_stop(self, text: str) -> None:
        assert not read_text(text, TABLE).is_stop

    @pytest.mark.parametrize(("reason", "text"), rows(MEANS_STOP))
    def test_case_and_final_punctuation_do_not_change_the_meaning(self, reason: str, text: str) -> None:
        assert read_text(text.upper().rstrip(".?!") + "!!", TABLE).is_stop, reason

    def test_stop_with_danger_is_stop_but_not_exact_so_that_a_human_reads_it(self) -> None:
        reading = read_text("stop texting me I want to die", TABLE)
        assert (reading.is_stop, reading.is_exact, reading.keyword) == (True, False, None)


class TestWrongNumber:
    @pytest.mark.parametrize("text", WRONG_NUMBER)
    def test_the_number_belongs_to_somebody_else(self, text: str) -> None:
        assert read_text(text, TABLE).is_wrong_number

    @pytest.mark.parametrize("text", NOT_WRONG_NUMBER)
    def test_a_question_or_a_wrong_thing_is_no_wrong_number(self, text: str) -> None:
        assert not read_text(text, TABLE).is_wrong_number

    @pytest.mark.parametrize(("reason", "text"), rows(DOES_NOT_MEAN_STOP))
    def test_ordinary_texts_are_no_wrong_number(self, reason: str, text: str) -> None:
        assert not read_text(text, TABLE).is_wrong_number, reason

    def test_somebody_who_does_not_know_us_and_says_stop_is_both(self) -> None:
        reading = read_text("I don't know who you are stop", TABLE)
        assert (reading.is_stop, reading.is_wrong_number) == (True, True)


@pytest.mark.parametrize(
    "text",
    [
        "stop " * 320,
        "i dont want to get the " * 70,
        "not the my " * 150,
        "is not no longer " * 100,
        "dont stop texting i want you to take me off of the list no more of the " * 23,
        "ya no me quiero recibir los mensajes de " * 40,
        "a" * 1600,
        "a " * 800,
        "\ufdfa" * 1600,
        '"' * 1600,
        "." * 1599 + "a",
        string.punctuation * 50,
    ],
    ids=range(12),
)
def test_the_longest_hostile_text_is_read_in_milliseconds(text: str) -> None:
    def cpu_seconds() -> float:
        start = time.process_time()
        read_text(text, TABLE)
        return time.process_time() - start

    assert min(cpu_seconds() for _ in range(3)) < CPU_LIMIT


class TestTable:
    @pytest.mark.parametrize(
        ("section", "value", "complaint"),
        [
            ("nonsense", [], "unknown sections"),
            ("keywords", {"stop": {"en": ["stop"]}}, "no words for"),
            ("keywords", DATA["keywords"] | {"dance": {"en": ["dance"]}}, "no such keyword"),
            ("keywords", DATA["keywords"] | {"help": {"en": ["help", "stop"]}}, "'stop' already means"),
            ("keywords", DATA["keywords"] | {"help": {"en": ["english"]}}, "'english' already means"),
            ("keywords", DATA["keywords"] | {"yes": {"en": [True]}}, "put it in quotes"),
            ("keywords", DATA["keywords"] | {True: {"en": ["y"]}}, "put it in quotes"),
            ("keywords", DATA["keywords"] | {"help": {"en": "help"}}, "must be a list"),
            ("keywords", DATA["keywords"] | {"help": {"en": ["!!"]}}, "has no letters"),
            ("keywords", [], "must be a mapping"),
            ("languages", {"en": ["english"], "es": ["english"]}, "already means en"),
            ("pause_units", {"day": 0}, "whole number"),
            ("times", {"dawn": ["dawn"]}, "expected one of"),
            ("times", DATA["times"] | {"ask": ["noon"]}, "already means"),
            ("times", {"ask": ["later"]}, "no words for morning"),
            ("stop_wordings", ["stop <nobody>"], "unknown word list <nobody>"),
            ("stop_wordings", ["Stop Texting"], "plain lower-case"),
            ("stop_wordings", ["*3 stop"], "must begin with a word"),
            ("stop_wordings", ["^ $"], "has no words"),
            ("stop_wordings", "stop", "must be a list"),
            ("stop_wordings", [None], "must be a list of patterns"),
        ],
    )
    def test_a_wrong_table_is_refused_with_what_is_wrong(
        self, section: str, value: object, complaint: str
    ) -> None:
        with pytest.raises(KeywordTableError, match=complaint):
            parse_keyword_table(DATA | {section: value})

    def test_a_table_without_a_section_is_refused(self) -> None:
        with pytest.raises(KeywordTableError, match="missing sections"):
            parse_keyword_table({})

    def test_a_word_that_staff_add_is_understood(self) -> None:
        data = copy.deepcopy(DATA)
        data["keywords"]["stop"]["en"].append("arret")
        table: KeywordTable = parse_keyword_table(data)
        assert read_text("Arrêt!", table).is_stop
        assert not read_text("Arrêt!", TABLE).is_stop
