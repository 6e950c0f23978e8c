"""Commands about accounts of staff."""

from __future__ import annotations

import sys
import warnings
from getpass import GetPassWarning

import click

from service.cli.output import CliError, emit, find_operator, open_runtime, parse_number, say
from service.store.staff import StaffRole
from service.usecases.operations.staff_accounts import (
    StaffAccount,
    StaffOutcome,
    check_password,
    has_account,
    list_staff,
    parse_email,
    put_staff,
)


@click.group()
def staff() -> None:
    """Accounts of staff."""


@staff.command("add")
@click.argument("email")
@click.option("--role", type=click.Choice([str(role) for role in StaffRole]), required=True)
@click.option("--phone", help="Trial mode may text it.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def add(email: str, role: str, phone: str | None, password_stdin: bool, as_json: bool) -> None:
    """Add an account, or change role and phone of the one with this address. Safe to repeat."""
    address = parse_email(email)
    with open_runtime() as runtime:
        number = parse_number(phone, runtime.settings.org_country) if phone else None
        is_new = not has_account(runtime.context, address)
        password = _read_password(password_stdin, is_new)
        account = StaffAccount(address, StaffRole(role), number, password)
        outcome = put_staff(runtime.context, account, find_operator(), runtime.clock())
    emit({"email": address, "role": role, "result": str(outcome)}, as_json, lambda _row: _SAID[outcome])


_SAID = {
    StaffOutcome.ADDED: "account added",
    StaffOutcome.UPDATED: "there was an account with this address; it was updated",
    StaffOutcome.UNCHANGED: "there was an account with this address; nothing had to change",
}


def _read_password(from_stdin: bool, is_new: bool) -> str | None:
    """The password of a new account; of one that exists, only when it is given on standard input."""
    if from_stdin:
        password = sys.stdin.read().rstrip("\r\n")
    elif is_new:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", GetPassWarning)
                password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        except click.Abort:
            raise CliError("no password was given; use --password-stdin where nobody can type one") from None
    else:
        return None
    check_password(password)
    return password


@staff.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def list_command(as_json: bool) -> None:
    """Every account."""
    with open_runtime() as runtime:
        rows = list_staff(runtime.context)
    if not rows:
        say("no accounts yet; `aftercare staff add EMAIL --role admin` makes one")
    emit(rows, as_json, lambda row: f"{row['email']}  {row['role']}  {row['phone'] or 'no phone'}")
