"""Exim on loopback: a mail server that real people run, with a configuration, a spool and mailboxes of the test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.console.embedded.broker import free_port

DOMAIN = "lumora.example"
GONE = "gone"
"""Who has this local part is accepted, and bounces afterwards."""
UNKNOWN = "unknown"
"""Who has this local part is refused at once."""
_USER = "Debian-exim"
_WAIT_SECONDS = 30

_CONFIGURATION = """
primary_hostname = mx.{domain}
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/spool/exim.pid
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 50
smtp_accept_queue_per_connection = 0
deliver_queue_load_max = 1000
queue_only_load = 1000
tls_advertise_hosts =
keep_environment =
chunking_advertise_hosts = *
acl_smtp_rcpt = recipients
acl_smtp_data = content

begin acl
recipients:
  deny local_parts = {unknown}
       message = nobody of that name
  accept domains = {domain}
  deny message = relaying is not for you
content:
  deny !verify = header_syntax
       message = the headers are malformed
  deny !verify = header_names_ascii
       message = a header's name is not ASCII
  accept

begin routers
bouncing:
  driver = redirect
  local_parts = {gone}
  data = :fail: the mailbox is closed for good
  allow_fail
mailbox:
  driver = accept
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = {folder}/mailboxes/all
  maildir_format
  user = {user}
  create_directory
  delivery_date_add
  envelope_to_add
"""


@dataclass(frozen=True, slots=True)
class Mta:
    """A running server."""

    port: int
    folder: Path

    def mailbox(self, local_part: str, count: int) -> list[bytes]:
        """Return the mails of *local_part* once there are *count* of them."""
        folder = self.folder / "mailboxes" / "all" / "new"
        line = f"\nEnvelope-to: {local_part}@{DOMAIN}\n".encode()
        deadline = time.monotonic() + _WAIT_SECONDS
        while len(found := [mail for path in sorted(folder.glob("*")) if line in (mail := b"\n" + path.read_bytes())]) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} mails came; {self.log()}"
            time.sleep(0.05)
        return [mail[1:] for mail in found]

    def log(self) -> str:
        """Return what the server wrote down."""
        return "".join(path.read_text(errors="replace") for path in sorted((self.folder / "log").glob("*log")))


def why_not() -> str | None:
    """Return why no server can run here, or None."""
    if shutil.which("exim4") is None:
        return "exim4 is not installed (Debian: exim4-daemon-light): no real mail server was asked"
    return None if os.getuid() == 0 else "exim4 with a configuration of one's own wants root: no real mail server was asked"


@contextmanager
def running(folder: Path) -> Iterator[Mta]:
    """Run a server whose files lie in *folder*, which its user must be able to reach."""
    port = free_port()
    for name in ("spool", "log", "mailboxes"):
        (folder / name).mkdir(parents=True)
        shutil.chown(folder / name, _USER, _USER)
    for parent in (folder, *folder.parents):
        if parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
        else:
            break
    configuration = folder / "exim.conf"
    configuration.write_text(_CONFIGURATION.format(domain=DOMAIN, port=port, folder=folder, user=_USER, gone=GONE, unknown=UNKNOWN))
    with subprocess.Popen(["exim4", "-C", configuration, "-bdf"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            _wait_for(port, process)
            yield Mta(port, folder)
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, process.stdout.read().decode() if process.stdout else "exim ended"
            assert time.monotonic() < deadline, "exim does not answer"
            time.sleep(0.05)
        else:
            return
