"""A TCP proxy that can cut connections and refuse new ones, delay, and lose answers or half of them, while what lies behind it lives on."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType

_CHUNK_BYTES = 64 * 1024


class TcpProxy:
    """Carries bytes from a port of its own to *target_port*, both on 127.0.0.1; a context manager."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._is_cut = False
        self.delay_seconds = 0.0
        """So long each piece of data waits, in either direction."""
        self.answers_to_lose = 0
        """So many pieces of data from behind are swallowed, each with its connection: what was asked for has happened, unheard.

        Every other one is swallowed by half: whoever asked hears the beginning of an answer.
        """
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> TcpProxy:
        self._accepting.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self._accepting.join()

    def cut(self) -> None:
        """Break all connections, and every new one at once."""
        with self._lock:
            self._is_cut = True
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def restore(self) -> None:
        """Let connections through again."""
        with self._lock:
            self._is_cut = False

    def _what_is_left_of(self, data: bytes) -> bytes | None:
        """Return the part of an answer that comes through before its connection breaks; None for one that is not to be lost."""
        with self._lock:
            number = self.answers_to_lose
            self.answers_to_lose = max(number - 1, 0)
        return None if number <= 0 else data[: len(data) // 2] if number % 2 else b""

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                refused = self._is_cut
            if refused:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            for *ends, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._carry, args=(*ends, answers), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                time.sleep(self.delay_seconds)
                left = self._what_is_left_of(data) if answers else None
                target.sendall(data if left is None else left)
                if left is not None:
                    break
        with self._lock:
            self._open.discard(source)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        source.close()
