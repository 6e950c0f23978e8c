"""Commands that run the service: demo, init, database, doctor, web and worker."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click
from cryptography.fernet import Fernet
from sqlalchemy.exc import SQLAlchemyError

from service.cli.output import CliError, emit, open_runtime, say
from service.cli.serving import DevelopmentServer, wait_for_signal
from service.config import Settings, TransportName, load_settings
from service.logs import configure_logs
from service.scheduler import Worker
from service.store.clock import system_clock
from service.store.database import DatabaseBusyError
from service.store.schema import find_pending_migration, upgrade
from service.usecases.operations.checkup import list_findings
from service.usecases.operations.demo import seed_demo
from service.usecases.operations.live_mode import read_live
from service.usecases.operations.program_rows import sync_programs
from service.usecases.sending.edits import apply_changes
from service.usecases.sending.work import work_once
from service.web.app import create_app
from service.wiring import Runtime, build_account_readers, build_runtime

GENERATED: dict[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "ENCRYPTION_KEYS": lambda: Fernet.generate_key().decode(),
    "LOOKUP_KEYS": lambda: secrets.token_urlsafe(48),
}

DATABASE_WAIT_SECONDS = 60.0
"""How long a worker that starts waits for a database that starts too; then whoever started it tries again."""


def register_run_commands(group: click.Group) -> None:
    """Add this module's commands to the command line."""
    for command in (demo, init, database_group, doctor, web, worker):
        group.add_command(command)


@click.command("init")
def init() -> None:
    """Make the keys that are missing (never overwriting one) in .env, and bring the database up to date."""
    made = write_missing_keys(Path(".env"))
    say(f"made {', '.join(made)} in .env" if made else "every key is there already; none was changed")
    with open_runtime(migrated=False) as runtime:
        bring_up_to_date(runtime)
    say("next: `aftercare staff add EMAIL --role admin`, then `aftercare doctor`")


def write_missing_keys(path: Path) -> list[str]:
    """Append generated keys that neither the environment nor the file holds; returns their names.

    A name with nothing behind it (as in `.env.example`) counts as missing.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    present = {
        line.split("=", 1)[0].strip() for line in lines if "=" in line and line.split("=", 1)[1].strip()
    }
    missing = [name for name in GENERATED if name not in present and not os.environ.get(name)]
    if missing:
        lines = [line for line in lines if line.split("=", 1)[0].strip() not in missing]
        lines += [f"{name}={GENERATED[name]()}" for name in missing]
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    return missing


@click.group("db")
def database_group() -> None:
    """The database."""


@database_group.command("upgrade")
def db_upgrade() -> None:
    """Run migrations and put the programs in. Safe to repeat."""
    with open_runtime(migrated=False) as runtime:
        bring_up_to_date(runtime)


def bring_up_to_date(runtime: Runtime) -> None:
    """Migrate, then store new versions of the catalog's programs. Commits both."""
    pending = find_pending_migration(runtime.database)
    upgrade(runtime.database)
    with runtime.database.begin() as session:
        sync_programs(session, runtime.context.catalog, system_clock())
    apply_changes(runtime.context, runtime.clock())
    say(f"database is now at {pending}" if pending else "database is up to date")


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def doctor(as_json: bool) -> None:
    """Check everything the service needs; exit 1 if something is wrong, 0 if only warnings remain."""
    with open_runtime(migrated=False) as runtime, ExitStack() as stack:
        readers = build_account_readers(runtime.settings)
        for reader in readers:
            stack.callback(reader.close)
        machine_now = system_clock()
        try:
            now = runtime.clock()
        except (SQLAlchemyError, DatabaseBusyError):
            now = machine_now
        findings = list_findings(runtime.context, now, machine_now=machine_now, readers=readers)
    rows = [{"check": f.check, "level": f.level, "message": f.message} for f in findings]
    emit(rows, as_json, lambda row: f"{row['level']:7} {row['check']}: {row['message']}")
    if any(f.level == "error" for f in findings):
        sys.exit(1)


@click.command("web")
@click.option("--port", type=click.IntRange(1, 65535), help="Port; PORT otherwise.")
def web(port: int | None) -> None:
    """Development server. Production runs gunicorn (see Procfile)."""
    with open_runtime() as runtime:
        server = DevelopmentServer(create_app(runtime), port or runtime.settings.port)
        server.start()
        say(f"serving on http://127.0.0.1:{server.port}/")
        wait_for_signal()
        say("stopping ...")
        server.stop()


@click.command("worker")
@click.option("--once", is_flag=True, help="Plan and deliver what is due now, print counts, exit.")
@click.option("--json", "as_json", is_flag=True, help="With --once: print one JSON object.")
def worker(once: bool, as_json: bool) -> None:
    """Plan and deliver. Any number may run; each takes the work it claims."""
    if as_json and not once:
        raise CliError("--json prints what --once did; use both")
    with open_runtime(wait_seconds=0 if once else DATABASE_WAIT_SECONDS) as runtime:
        if not once:
            if not Worker(runtime).run():
                os._exit(1)  # a thread that hangs would be waited for; its leases run out by themselves
            return
        counts = work_once(runtime.context, runtime.transport, runtime.clock, runtime.records)
        if runtime.simulator is not None:
            runtime.simulator.flush(30)
        stopped_by = read_live(runtime.context, runtime.clock())["sending_blocked"]
    if stopped_by:
        say(f"unprompted texts are stopped: {stopped_by}; see `aftercare doctor`")
    emit(counts, as_json, lambda row: "\n".join(f"{name}: {value}" for name, value in row.items()))


@click.command("demo")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the demo's database in this file.")
def demo(port: int, keep: Path | None) -> None:
    """Everything on one port with fictional people: no account, no server, nothing to clean up."""
    with tempfile.TemporaryDirectory(prefix="aftercare-demo-") as folder:
        settings = demo_settings(port, keep or Path(folder) / "demo.db")
        configure_logs("WARNING", settings.log_format)
        runtime = build_runtime(settings)
        try:
            say("preparing the demo ...")
            bring_up_to_date(runtime)
            server = DevelopmentServer(create_app(runtime), port)
            server.start()
            seed_demo(runtime.context, runtime.clock())
            ticking = Worker(runtime)
            ticking.start()
            say(f"open http://127.0.0.1:{port}/phone/ and text JOIN; stop with Ctrl-C")
            wait_for_signal()
            say("stopping ...")
            ticking.stop()
            server.stop()
        finally:
            runtime.close()


def demo_settings(port: int, database: Path) -> Settings:
    """Settings of the demo: nothing of the environment's provider account is used."""
    keys = {name.lower(): make() for name, make in GENERATED.items()}
    stored = database.with_suffix(".keys")
    if stored.exists():
        keys = dict(line.split("=", 1) for line in stored.read_text(encoding="utf-8").splitlines())
    elif database.parent.is_dir():
        stored.touch(0o600)
        stored.write_text("\n".join(f"{name}={value}" for name, value in keys.items()), encoding="utf-8")
    return load_settings(
        _env_file=None,
        database_url=f"sqlite:///{database}",
        transport=TransportName.SIMULATOR,
        twilio_optout_mode="app",
        public_url=f"http://127.0.0.1:{port}",
        port=port,
        **keys,
    )
