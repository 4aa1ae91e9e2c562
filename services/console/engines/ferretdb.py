"""FerretDB with its SQLite backend, built by Go the first time: a server that speaks MongoDB's protocol."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path

from services.common.errors import GroundswellError
from services.common.paths import ROOT
from services.console.embedded.broker import free_port
from services.console.engines import ENGINES, daemon

HOME = ENGINES / "ferretdb"
_SOURCE = ROOT / "deploy" / "engines" / "ferretdb"
_PROCESSES = HOME / "processes.json"
_START_SECONDS = 30
_MODULE = "github.com/FerretDB/FerretDB"


def build() -> Path:
    """Return the server's binary; built again when its source has changed.

    FerretDB's own source is patched first (``ferretdb.patch`` beside its main): as published, its SQLite backend's updates are not
    atomic, an ordered insert goes on after its hundredth document although one before was refused, and only a filter of nothing but
    ``{_id: value}`` is served by an index.
    """
    parts = sorted(path for path in _SOURCE.iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()[:16]
    binary = HOME / f"ferretdb-{digest}"
    if not binary.exists():
        go, patch = daemon.tool("go", "to build FerretDB"), daemon.tool("patch", "to build FerretDB")
        folder = HOME / "build"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(_SOURCE, folder)
        found = json.loads(daemon.run([go, "mod", "download", "-json", _MODULE], folder))
        copied = folder / "patched"
        shutil.copytree(found["Dir"], copied, copy_function=shutil.copyfile)
        copied.chmod(0o755)
        for path in copied.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)  # Go keeps its modules read-only
        daemon.run([patch, "-p1", "--forward", "-i", str(folder / "ferretdb.patch")], copied)
        daemon.run([go, "mod", "edit", "-replace", f"{_MODULE}=./patched"], folder)
        daemon.run([go, "build", "-o", str(binary.with_suffix(".part")), "."], folder, {"GOFLAGS": "-mod=mod"})
        binary.with_suffix(".part").rename(binary)
        shutil.rmtree(folder)
    return binary


def up() -> str:
    """Start an empty server on a free port; return its URL once it answers."""
    binary = build()
    down()
    data = HOME / "data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    port = free_port()
    log = HOME / "server.log"
    process = daemon.start([str(binary), "-listen", f"127.0.0.1:{port}", "-data", f"{data}/"], log)
    daemon.remember(_PROCESSES, [process])
    daemon.wait_for_port(process, port, log, _START_SECONDS)
    url = f"mongodb://127.0.0.1:{port}"
    (HOME / "url").write_text(url)
    return url


def running() -> str | None:
    """Return the URL of what ``up`` started, or None."""
    path = HOME / "url"
    return path.read_text() if path.exists() else None


def down() -> int:
    """Stop what ``up`` started; return how many servers still ran."""
    (HOME / "url").unlink(missing_ok=True)
    return daemon.stop_all(_PROCESSES)


def main() -> int:
    """Start or stop FerretDB from the command line."""
    parser = argparse.ArgumentParser(prog="python -m services.console.engines.ferretdb", description=__doc__)
    parser.add_argument("action", choices=["up", "down"])
    arguments = parser.parse_args()
    try:
        if arguments.action == "up":
            sys.stdout.write(f"GROUNDSWELL_TEST_MONGO_URL={up()}\n")
        else:
            sys.stdout.write(f"{down()} servers stopped\n")
    except GroundswellError as error:
        sys.stderr.write(f"{error}\n")
        return 69
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
