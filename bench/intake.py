"""The HTTP intake under load by wrk: how long an answer takes, and that nothing accepted is lost while broker and process are killed.

    GROUNDSWELL_KAFKA_HOME=/tmp/intake python -m bench.intake [--quiet 15] [--killing 45] [--connections 32]

Starts Apache Kafka (Java 17, Maven) and ingest with an intake; installs wrk (apt) where it is missing. First nobody is killed; then the
process is killed with -9 whenever it has worked for five seconds, and the broker once. Exits with 1 where an accepted request is not in its
topic, or none was.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from services.common.settings import KafkaSettings
from services.console.cluster import Cluster
from services.console.embedded.broker import free_port
from services.console.engines import kafka
from services.console.topics import wanted_topics

_SECRET = "bench"
_BODIES = 400_000
_TOPIC = "feedback.raw"
_INTAKE = """
version: 1
endpoints:
  - {name: bench, topic: feedback.raw, scheme: hmac, secret_variable: BENCH_SECRET, rate: 1000000, burst: 1000000}
"""
_LUA = """
local lines, at = {}, tonumber(os.getenv("BENCH_FIRST"))
for line in io.lines(os.getenv("BENCH_BODIES")) do lines[#lines + 1] = line end
local out = io.open(os.getenv("BENCH_ACCEPTED"), "a")
function request()
  at = at + 1
  local signature, body = lines[at]:match("^(%x+) (.*)$")
  return wrk.format("POST", nil, {["X-Signature-256"] = signature, ["Idempotency-Key"] = tostring(at)}, body)
end
function response(status, headers, body)
  if status == 202 then out:write(body:match('"(%d+)"'), "\\n") out:flush() end
end
"""


def _body(number: int) -> bytes:
    text = f"Wish number {number}: let me export a board"
    return json.dumps({"id": f"i-{number}", "workspace": "bench", "board": "b", "text": text}).encode()


def _write_bodies(path: Path) -> None:
    with path.open("wb") as out:
        for number in range(1, _BODIES + 1):
            body = _body(number)
            out.write(hmac.new(_SECRET.encode(), body, "sha256").hexdigest().encode() + b" " + body + b"\n")


class Ingest:
    """Ingest as a process that is started again whenever it ends."""

    def __init__(self, folder: Path, bootstrap: str) -> None:
        (folder / "intake.yaml").write_text(_INTAKE)
        self.port = free_port()
        self._log = folder / "ingest.log"
        self._environment = {
            **os.environ,
            "BENCH_SECRET": _SECRET,
            "GROUNDSWELL_INTAKE_FILE": str(folder / "intake.yaml"),
            "GROUNDSWELL_INTAKE_PORT": str(self.port),
            "GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "GROUNDSWELL_DATA_DIR": str(folder),
            "GROUNDSWELL_TOPIC_PARTITIONS": "3",
        }
        self._ends = False
        self.process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as out:
            return subprocess.Popen([sys.executable, "-m", "services.ingest"], env=self._environment, stdout=out, stderr=out)

    def _keep(self) -> None:
        while not self._ends:
            if self.process.poll() is not None:
                self.process = self._start()
            time.sleep(0.1)

    def listening(self) -> int:
        """Return how often it has begun to listen."""
        return self._log.read_bytes().count(b"intake_listening")

    def kill(self) -> None:
        """Kill it with -9."""
        self.process.send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """End it for good."""
        self._ends = True
        self._keeper.join()
        self.process.kill()
        self.process.wait()


class Front(threading.Thread):
    """A door that stays open: connections wait until the process behind it listens, as a load balancer's do; wrk would spin otherwise."""

    def __init__(self, behind: int) -> None:
        super().__init__(daemon=True)
        self._behind = behind
        self.port = free_port()

    def run(self) -> None:
        """Carry bytes until the program ends."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        await server.serve_forever()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                answers, asks = await asyncio.open_connection("127.0.0.1", self._behind)
                break
            except OSError:
                await asyncio.sleep(0.1)
        ways = [asyncio.create_task(_pipe(reader, asks)), asyncio.create_task(_pipe(answers, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        asks.close()
        writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


def _wait_for(is_so: object, what: str, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise SystemExit(f"after {seconds:.0f} s: {what}")
        time.sleep(0.2)


@contextmanager
def _brokers() -> Iterator[str]:
    try:
        yield kafka.up(1)
    finally:
        kafka.down()


async def _create(bootstrap: str) -> None:
    async with Cluster(KafkaSettings(bootstrap_servers=bootstrap)) as cluster:
        for contract in wanted_topics().values():
            await cluster.create(contract, partitions=3, replication=1)


async def _published(bootstrap: str) -> set[int]:
    async with Cluster(KafkaSettings(bootstrap_servers=bootstrap)) as cluster:
        records = (await cluster.read([_TOPIC]))[_TOPIC]
    return {int(json.loads(record.value or b"{}")["id"].removeprefix("i-")) for record in records}


def _wrk(folder: Path, port: int, seconds: int, connections: int, first: int) -> str:
    """Run wrk; return what it prints."""
    environment = {
        **os.environ,
        "BENCH_BODIES": str(folder / "bodies"),
        "BENCH_ACCEPTED": str(folder / "accepted"),
        "BENCH_FIRST": str(first),
    }
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s", "-s", str(folder / "load.lua")]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}/v1/bench"], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"wrk failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def _told(output: str) -> str:
    rate = re.search(r"Requests/sec:\s+(\S+)", output)
    shares = re.findall(r"\s(50|90|99)%\s+(\S+)", output)
    errors = re.search(r"Socket errors: (.*)", output)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    parts = [f"{rate[1] if rate else '?'} requests/s", *(f"p{share} {value}" for share, value in shares)]
    return ", ".join([*parts, *([errors[1]] if errors else []), *([f"{other[1]} refused"] if other else [])])


def _killing(ingest: Ingest, seconds: int) -> list[str]:
    """Kill the process as soon as it has worked for five seconds, and the broker in the middle; return what was killed."""
    killed: list[str] = []
    end, broker_at = time.monotonic() + seconds - 5, time.monotonic() + seconds / 2
    while time.monotonic() < end:
        time.sleep(5)
        if time.monotonic() >= broker_at and "broker" not in killed:
            os.kill(kafka.nodes()[0].pid, signal.SIGKILL)
            killed.append("broker")
            time.sleep(2)
            kafka.start_again(1)
        else:
            began = ingest.listening()
            ingest.kill()
            killed.append("process")
            _wait_for(lambda before=began: ingest.listening() > before, "the intake does not listen again")
    return killed


def main() -> int:
    """Run both phases and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quiet", type=int, default=15, help="seconds without a kill")
    parser.add_argument("--killing", type=int, default=45, help="seconds with kills")
    parser.add_argument("--connections", type=int, default=32)
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        subprocess.run(["apt-get", "install", "-y", "-q", "wrk"], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as name, _brokers() as bootstrap:
        folder = Path(name)
        (folder / "load.lua").write_text(_LUA)
        _write_bodies(folder / "bodies")
        asyncio.run(_create(bootstrap))
        ingest = Ingest(folder, bootstrap)
        try:
            _wait_for(lambda: ingest.listening() >= 1, "the intake does not listen")
            front = Front(ingest.port)
            front.start()
            print(f"nobody killed: {_told(_wrk(folder, front.port, arguments.quiet, arguments.connections, 0))}", flush=True)
            killed: list[str] = []
            killer = threading.Thread(target=lambda: killed.extend(_killing(ingest, arguments.killing)))
            killer.start()
            output = _wrk(folder, front.port, arguments.killing, arguments.connections, _BODIES // 2)
            killer.join()
            print(
                f"killed {killed.count('process')} times the process, {killed.count('broker')} time the broker: {_told(output)}", flush=True
            )
        finally:
            ingest.stop()
        accepted = {int(line) for line in (folder / "accepted").read_text().split()}
        published = asyncio.run(_published(bootstrap))
    lost = accepted - published
    print(f"accepted {len(accepted):,}, of them lost {len(lost)}; published without an answer {len(published - accepted):,}")
    return 1 if lost or not accepted else 0


if __name__ == "__main__":
    raise SystemExit(main())
