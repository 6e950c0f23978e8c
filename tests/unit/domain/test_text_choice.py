"""Which text of the bank somebody gets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.domain.kinds import MessageKind
from service.domain.text_choice import Bank, BankText, choose_text

TIP = MessageKind.TIP
YEAR = frozenset({"early", "middle"})
BANK = Bank(
    {
        TIP: (
            BankText("sleep/a", "sleep", YEAR),
            BankText("sleep/b", "sleep", frozenset({"middle"})),
            BankText("food/a", "food", YEAR),
            BankText("move/a", "move", YEAR),
            BankText("move/b", "move", YEAR),
        )
    }
)
TOPICS = ("sleep", "food", "move")


def choose(turn: int, *used: str, phase: str = "middle", wanted: tuple[str, ...] = ()) -> str | None:
    return choose_text(BANK, TIP, TOPICS, phase, turn, used, wanted)


def test_topics_take_turns_and_all_texts_come_before_any_comes_again() -> None:
    assert [choose(turn) for turn in range(6)] == [
        *("sleep/a", "food/a", "move/a", "sleep/b", "move/b"),
        "sleep/a",
    ]


def test_what_somebody_had_lately_is_passed_over() -> None:
    assert choose(0, "sleep/a", "food/a") == "move/a"


def test_only_what_fits_the_part_of_the_year_is_said() -> None:
    assert "sleep/b" not in {choose(turn, phase="early") for turn in range(10)}


def test_what_an_answer_asks_for_comes_first_while_there_is_any() -> None:
    assert choose(0, wanted=("move",)) == "move/a"
    assert choose(0, "move/a", wanted=("move",)) == "move/b"
    assert choose(0, "move/a", "move/b", wanted=("move",)) == "sleep/a", "then its turn again"
    assert choose(0, wanted=("money",)) == "sleep/a", "a step speaks about its own topics only"


def test_when_everything_was_said_lately_nothing_is_said() -> None:
    assert choose(3, *(text.id for text in BANK[TIP])) is None
    assert choose_text(BANK, MessageKind.CARING, TOPICS, None, 0, ()) is None


@given(st.integers(0, 1000), st.sets(st.sampled_from([text.id for text in BANK[TIP]])))
def test_no_turn_ever_repeats_what_was_said_lately(turn: int, used: set[str]) -> None:
    chosen = choose(turn, *used)

    assert chosen not in used
    assert (chosen is None) == (len(used) == len(BANK[TIP]))
