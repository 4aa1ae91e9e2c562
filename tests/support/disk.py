"""A disk of our own that can be filled to its last byte: a small tmpfs, where this process may mount one."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_CHUNK_BYTES = 64 * 1024


class SmallDisk:
    """*bytes* of disk at *folder*, which is created; a context manager. *mounted* is False where the system refuses."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self._folder = folder
        self._size_bytes = size_bytes
        self._ballast = folder / "ballast"
        self.mounted = False

    def __enter__(self) -> SmallDisk:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._size_bytes}", "tmpfs", str(self._folder)]
        with suppress(FileNotFoundError):
            self.mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self._folder)], capture_output=True, check=False)

    def fill(self) -> None:
        """Leave no byte free."""
        with suppress(OSError), self._ballast.open("wb", buffering=0) as ballast:
            while ballast.write(b"\0" * _CHUNK_BYTES) == _CHUNK_BYTES:
                pass
            while ballast.write(b"\0"):
                pass

    def clear(self) -> None:
        """Give back what ``fill`` took."""
        self._ballast.unlink(missing_ok=True)
