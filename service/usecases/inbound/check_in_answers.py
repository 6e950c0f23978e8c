"""Answers to the one open question: stored, answered with something useful, next question behind it."""

from __future__ import annotations

from sqlalchemy import insert

from service.domain.check_ins import (
    Answered,
    CheckIn,
    Question,
    Skipped,
    StaffTask,
    read_answer,
    reply_text_id,
)
from service.domain.keywords import normalize
from service.store.conversations import Answer, Conversation
from service.store.inbound import TaskKind
from service.usecases.inbound.free_text import queue_for_staff
from service.usecases.inbound.reply import Incoming, Outcome, Reply
from service.usecases.inbound.step_up import step_up_by_answers

MAX_REASKS = 1
_TASKS = {
    StaffTask.CALL: (TaskKind.CALL, "asked_for_call"),
    StaffTask.NEEDS_REPLY: (TaskKind.NEEDS_REPLY, "answer_for_staff"),
}


def answer_open_question(incoming: Incoming) -> Outcome | None:
    """Take the text as an answer if a question is open; None if none is, or the text is another keyword.

    Unclear answers are asked once more; then a human reads the text and the question stays open.
    """
    if incoming.open_conversation_id is None:
        return None
    conversation = incoming.session.get(Conversation, incoming.open_conversation_id)
    if conversation is None or conversation.expires_at <= incoming.now:
        return None
    check_in = incoming.context.catalog.check_in(conversation.check_in_id)
    question = _find_question(check_in, conversation.question_id)
    if question is None or check_in.version != conversation.check_in_version:
        _close_outdated(incoming, conversation)
        return None
    answer = read_answer(question, incoming.body)
    if isinstance(answer, Answered):
        return _accept(incoming, conversation, check_in, question, answer)
    if isinstance(answer, Skipped):
        return _go_on(incoming, conversation, check_in, question, check_in.skipped)
    if incoming.reading.keyword is not None:
        return None
    return _unclear(incoming, conversation, check_in, question)


def _accept(
    incoming: Incoming,
    conversation: Conversation,
    check_in: CheckIn,
    question: Question,
    answer: Answered,
) -> Outcome:
    incoming.session.execute(
        insert(Answer).values(
            conversation_id=conversation.id,
            participant_id=conversation.participant_id,
            inbound_id=incoming.row.id,
            question_id=question.id,
            value=answer.value,
            answered_at=incoming.now,
        )
    )
    if (task := question.tasks.get(answer.value)) is not None:
        incoming.note_task(*_TASKS[task])
    step_up_by_answers(incoming)
    return _go_on(incoming, conversation, check_in, question, reply_text_id(question, answer.value))


def _go_on(
    incoming: Incoming,
    conversation: Conversation,
    check_in: CheckIn,
    question: Question,
    feedback_id: str,
) -> Outcome:
    following = _find_question_after(check_in, question)
    if following is None:
        conversation.closed_at, conversation.close_reason = incoming.now, "finished"
        parts = (feedback_id,) if len(check_in.questions) == 1 else (feedback_id, check_in.closing)
        return Outcome("answer", Reply(parts, must_arrive=True))
    conversation.question_id, conversation.reasks = following.id, 0
    return Outcome("answer", Reply((feedback_id, following.ask), must_arrive=True))


def _unclear(
    incoming: Incoming, conversation: Conversation, check_in: CheckIn, question: Question
) -> Outcome:
    """A slip of the thumb is asked once more; words are for a human, and the question stays open."""
    is_one_word = len(normalize(incoming.body).split()) <= 1
    if is_one_word and conversation.reasks < MAX_REASKS:
        conversation.reasks += 1
        incoming.note_task(TaskKind.NEEDS_REPLY, "unclear_answer")
        return Outcome("unclear_answer", Reply((question.reask,), must_arrive=True))
    outcome = queue_for_staff(incoming, "unclear_answer")
    return outcome if outcome.reply else Outcome("unclear_answer", Reply((check_in.unclear,)))


def _close_outdated(incoming: Incoming, conversation: Conversation) -> None:
    """The questionnaire was edited under an open question: end it, so that nothing is misread."""
    conversation.closed_at, conversation.close_reason = incoming.now, "edited"


def _find_question(check_in: CheckIn, question_id: str) -> Question | None:
    return next((question for question in check_in.questions if question.id == question_id), None)


def _find_question_after(check_in: CheckIn, question: Question) -> Question | None:
    following = check_in.questions.index(question) + 1
    return check_in.questions[following] if following < len(check_in.questions) else None
