"""Worker processes, a database that goes away and a network that falls silent, for tests of many machines."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.conftest import KEYS
from tests.standin import TwilioStandin

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 30.0


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something to become true; fails the test if it does not."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, f"waited {seconds:.0f} seconds for {what}"
        time.sleep(0.02)


def line_settings(database_url: str, standin: TwilioStandin, **changes: object) -> dict[str, object]:
    """A line whose provider is the stand-in, unhindered by pace."""
    return {
        "database_url": database_url,
        "transport": "twilio",
        "twilio_account_sid": standin.account_sid,
        "twilio_auth_token": standin.auth_token,
        "twilio_messaging_service_sid": standin.service_sid,
        "twilio_api_url": standin.url,
        "twilio_optout_mode": "app",
        "sender_segments_per_second": 1000,
    } | changes


class WorkerProcess:
    """`aftercare worker` as the Procfile starts it, with its lines in a file."""

    def __init__(self, folder: Path, settings: dict[str, object]) -> None:
        environment = {name.upper(): str(value) for name, value in {**KEYS, **settings}.items()}
        environment |= {"PATH": os.environ["PATH"], "LOG_FORMAT": "json"}
        self._log = folder / f"worker-{time.monotonic_ns()}.log"
        command = str(Path(sys.executable).parent / "aftercare"), "worker"
        with self._log.open("wb") as lines:
            self._process = subprocess.Popen(command, cwd=folder, env=environment, stdout=lines, stderr=lines)

    @property
    def lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8").splitlines()

    def count(self, word: str) -> int:
        return sum(word in line for line in self.lines)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, word: str) -> None:
        def is_there() -> bool:
            assert self.is_running or self.count(word), "the worker has ended"
            return self.count(word) > 0

        wait_until(is_there, f"{word!r} in the worker's lines")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def pause(self) -> None:
        """Stop it where it stands, as a machine that is suspended."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def exit_code(self, seconds: float = PATIENCE_SECONDS) -> int:
        return self._process.wait(seconds)


@contextmanager
def workers(folder: Path, settings: dict[str, object]) -> Iterator[Callable[[], WorkerProcess]]:
    """Yields what starts one more worker; all that still run are killed at the end."""
    started: list[WorkerProcess] = []

    def start() -> WorkerProcess:
        started.append(WorkerProcess(folder, settings))
        return started[-1]

    try:
        yield start
    finally:
        for worker in started:
            worker.kill()


class SilentRelay:
    """A TCP relay that can fall silent: packets are still acknowledged, but nothing gets through."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._is_silent = False
        self._silences = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._wires: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._listener.close()
        for wire in self._wires:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
            wire.close()

    def fall_silent(self) -> None:
        self._is_silent = True
        self._silences += 1

    def speak(self) -> None:
        """New connections work again; those that met the silence stay dead."""
        self._is_silent = False

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            self._wires += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        silences = self._silences - self._is_silent
        with suppress(OSError):
            while data := source.recv(65536):
                if silences == self._silences:
                    sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
