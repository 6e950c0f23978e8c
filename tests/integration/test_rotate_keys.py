"""Key rotation: afterwards the newest keys alone read everything, and no opt-out is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import Text, select, type_coerce, update

from service.catalog import Catalog
from service.domain.phone import PhoneNumber
from service.store.consent import ConsentChannel, Suppression, find_suppression, is_suppressed
from service.store.database import Database
from service.store.keyring import DecryptionError, Keyring
from service.store.messages import Message
from service.store.participants import Participant, find_participant, list_tags
from service.store.service_state import LookupKeyUse, list_missing_key_ids
from service.store.staff import StaffRole
from service.usecases.context import Context
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from service.usecases.operations.rotate_keys import encrypted_columns, rotate_keys
from service.usecases.operations.staff_accounts import StaffAccount, list_staff, put_staff
from service.usecases.people.consent_changes import Evidence, opt_out
from tests.conftest import KEYS, NOW, make_settings
from tests.integration.test_erase import add_everything
from tests.integration.test_import_participants import PHONE, WRITTEN, run_import, stop

NEW_ENCRYPTION = Fernet.generate_key().decode()
NEW_LOOKUP = "new-lookup-key-0123456789"
BOTH = {
    "encryption_keys": f"{NEW_ENCRYPTION},{KEYS['encryption_keys']}",
    "lookup_keys": f"{NEW_LOOKUP},{KEYS['lookup_keys']}",
}
NEW_ONLY = {"encryption_keys": NEW_ENCRYPTION, "lookup_keys": NEW_LOOKUP}
EVIDENCE = ConsentChannel.SMS, "participant", "SM1", NOW
Reopen = Callable[[dict[str, str]], Context]


@pytest.fixture
def reopen(database_url: str, catalog: Catalog) -> Iterator[Reopen]:
    """Open the same database with other keys, as a process after a deployment does."""
    opened: list[Database] = []

    def open_with(keys: dict[str, str]) -> Context:
        settings = make_settings(database_url=database_url, **keys)
        keyring = Keyring(_secrets(settings.encryption_keys), _secrets(settings.lookup_keys))
        opened.append(Database(database_url, keyring))
        return Context(opened[-1], catalog, settings)

    yield open_with
    for database in opened:
        database.dispose()


def _secrets(keys: list[SecretStr]) -> list[str]:
    return [key.get_secret_value() for key in keys]


def read_tokens(context: Context) -> dict[str, list[str]]:
    """The stored tokens of every encrypted column, as they lie in the database."""
    tokens = {}
    with context.database.read() as session:
        for table, names in encrypted_columns().items():
            for name in names:
                query = select(type_coerce(table.c[name], Text)).where(table.c[name].is_not(None))
                rows = session.scalars(query.order_by(*table.primary_key.columns))
                tokens[f"{table.name}.{name}"] = list(rows)
    return tokens


def test_every_table_with_something_encrypted_is_known() -> None:
    names = {f"{table.name}.{name}" for table, columns in encrypted_columns().items() for name in columns}

    assert names == {
        "answers.value",
        "campaigns.definition",
        "chosen_meetings.label",
        "inbound_messages.answer",
        "inbound_messages.body",
        "inbound_messages.raw",
        "inbound_messages.sender",
        "messages.body",
        "messages.fields",
        "messages.recipient",
        "participant_tags.tag",
        "participants.name",
        "participants.phone",
        "staff.phone",
    }


def test_after_rotation_the_newest_keys_alone_read_and_find_everything(
    context: Context, reopen: Reopen
) -> None:
    add_everything(context)
    account = StaffAccount("ana@example.org", StaffRole.ADMIN, PHONE, "long enough password")
    put_staff(context, account, "cli:test", NOW)

    result = rotate_keys(reopen(BOTH), "cli:test", NOW)

    assert result.encrypted > 0
    assert result.old_keys_needed == {}
    alone = reopen(NEW_ONLY)
    with alone.database.read() as session:
        person = find_participant(session, PHONE, alone.keyring)
        assert person is not None
        assert (person.name, list_tags(session, person.id)) == ("Ana Example", ["north"])
        assert PHONE.e164 in [row.recipient for row in session.scalars(select(Message))]
        assert list_missing_key_ids(session, alone.keyring.lookup_key_ids) == []
    assert list_staff(alone)[0]["phone"] == "...11"


def test_rotating_again_changes_nothing(context: Context, reopen: Reopen) -> None:
    add_everything(context)
    both = reopen(BOTH)
    rotate_keys(both, "cli:test", NOW)
    before = read_tokens(both)

    again = rotate_keys(both, "cli:test", NOW)

    assert (again.encrypted, again.hashed) == (0, 0)
    assert read_tokens(both) == before


def test_the_opt_out_of_somebody_still_known_moves_to_the_new_key(context: Context, reopen: Reopen) -> None:
    run_import(context, WRITTEN)
    stop(context, NOW)

    result = rotate_keys(reopen(BOTH), "cli:test", NOW)

    assert result.old_keys_needed == {}
    alone = reopen(NEW_ONLY)
    with alone.database.read() as session:
        assert is_suppressed(find_suppression(session, PHONE, alone.keyring))


def test_an_opt_out_whose_number_is_unknown_keeps_its_old_key_in_use(
    context: Context, reopen: Reopen
) -> None:
    stop(context, NOW)
    old_id = context.keyring.lookup_key_ids[0]
    both = reopen(BOTH)

    result = rotate_keys(both, "cli:test", NOW)

    assert result.old_keys_needed == {old_id: 1}
    with both.database.read() as session:
        assert is_suppressed(find_suppression(session, PHONE, both.keyring))
        assert old_id in session.scalars(select(LookupKeyUse.key_id)).all()
        assert list_missing_key_ids(session, reopen(NEW_ONLY).keyring.lookup_key_ids) == [old_id]


def test_more_rows_than_a_batch_are_all_rotated(context: Context, reopen: Reopen) -> None:
    run_import(context, *[f"+1999{number:07d},Name {number}" for number in range(450)], header="phone,name")
    seen: list[tuple[str, int]] = []

    result = rotate_keys(reopen(BOTH), "cli:test", NOW, lambda table, rows: seen.append((table, rows)))

    assert (result.encrypted, result.hashed) == (900, 450)
    assert ("participants", 450) in seen
    newest = Keyring([NEW_ENCRYPTION], [NEW_LOOKUP])
    tokens = read_tokens(context)["participants.name"]
    assert sorted(newest.decrypt(token) for token in tokens) == sorted(f"Name {n}" for n in range(450))


def test_a_value_that_opens_with_no_key_stops_the_rotation_and_is_not_lost(
    context: Context, reopen: Reopen
) -> None:
    run_import(context, WRITTEN)
    foreign = Keyring([Fernet.generate_key().decode()], [NEW_LOOKUP]).encrypt("x")
    with context.database.begin() as session:
        session.execute(update(Participant).values(name=type_coerce(foreign, Text)))

    with pytest.raises(DecryptionError):
        rotate_keys(reopen(BOTH), "cli:test", NOW)

    assert read_tokens(context)["participants.name"] == [foreign]


def test_a_suppression_row_is_never_lost(context: Context, reopen: Reopen) -> None:
    run_import(context, WRITTEN)
    stop(context, NOW)

    rotate_keys(reopen(BOTH), "cli:test", NOW)
    rotate_keys(reopen(BOTH), "cli:test", NOW)

    with context.database.read() as session:
        assert len(session.scalars(select(Suppression)).all()) == 1


def test_a_stop_taken_by_a_process_that_was_not_restarted_is_never_forgotten(
    context: Context, reopen: Reopen
) -> None:
    before = reopen({**BOTH, "lookup_keys": f"{KEYS['lookup_keys']},{NEW_LOOKUP}"})
    for number in range(2):  # so that it has seen its key in use a moment ago
        text = {"MessageSid": f"SM{number}", "From": "+12025550188", "To": "+12025550100", "Body": "HELP"}
        receive_text(before, IncomingText(text), NOW)
    rotate_keys(reopen(BOTH), "test", NOW)

    stop = {"MessageSid": "SM9", "From": PHONE.e164, "To": "+12025550100", "Body": "STOP"}
    receive_text(before, IncomingText(stop), NOW)

    only_new = reopen(NEW_ONLY)
    with only_new.database.read() as session:
        assert list_missing_key_ids(session, only_new.keyring.lookup_key_ids), "sending stops, loudly"
    assert rotate_keys(reopen(BOTH), "test", NOW).old_keys_needed == {}
    with only_new.database.read() as session:
        assert list_missing_key_ids(session, only_new.keyring.lookup_key_ids) == []
        assert is_suppressed(find_suppression(session, PHONE, only_new.keyring))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_rotation_waits_for_a_stop_that_is_being_written_under_an_old_key(
    context: Context, reopen: Reopen
) -> None:
    before = reopen({**BOTH, "lookup_keys": f"{KEYS['lookup_keys']},{NEW_LOOKUP}"})
    run_import(before, WRITTEN)
    written, may_commit = threading.Event(), threading.Event()

    def take_stop() -> None:
        stranger = PhoneNumber("+12025550188")
        with before.database.begin() as session:
            opt_out(session, before.keyring, stranger, None, Evidence(*EVIDENCE), NOW)
            written.set()
            may_commit.wait(10)

    thread = threading.Thread(target=take_stop)
    thread.start()
    assert written.wait(10)
    threading.Timer(0.5, may_commit.set).start()

    result = rotate_keys(reopen(BOTH), "test", NOW)

    thread.join()
    assert list(result.old_keys_needed.values()) == [1]
