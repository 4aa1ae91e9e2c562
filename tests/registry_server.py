"""A schema registry for tests: a real HTTP server that answers look-ups from ``schemas/`` as Confluent's does, and registers nothing.

Error codes are the registry's own: 40401 unknown subject, 40403 unknown schema. ``fail_with`` makes every answer that status.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from services.common.paths import SCHEMAS


class RegistryServer:
    """A context manager: answers at ``url`` until it is left."""

    def __init__(self, folder: Path = SCHEMAS) -> None:
        self.schemas: dict[str, dict[int, Any]] = {}
        """subject → id → schema"""
        for subject, versions in json.loads((folder / "ids.json").read_text()).items():
            for version, number in versions.items():
                path = folder / "avro" / f"{subject.removesuffix('-value')}-v{version}.avsc"
                self.schemas.setdefault(subject, {})[number] = json.loads(path.read_text())
        self.fail_with: int | None = None
        self.asked: list[str] = []
        """``METHOD /path`` of every request, in order."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.02))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> RegistryServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def by_id(self, number: int) -> tuple[int, dict[str, Any]]:
        """Return status and body of ``GET /schemas/ids/{number}``."""
        for subject in self.schemas.values():
            if number in subject:
                return 200, {"schema": json.dumps(subject[number])}
        return 404, {"error_code": 40403, "message": f"Schema {number} not found"}

    def look_up(self, subject: str, schema: Any) -> tuple[int, dict[str, Any]]:
        """Return status and body of ``POST /subjects/{subject}``."""
        if subject not in self.schemas:
            return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
        for version, (number, known) in enumerate(sorted(self.schemas[subject].items()), start=1):
            if known == schema:
                return 200, {"subject": subject, "id": number, "version": version, "schema": json.dumps(known)}
        return 404, {"error_code": 40403, "message": "Schema not found"}


def _handler(registry: RegistryServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer a look-up by id."""
            found = re.fullmatch(r"/schemas/ids/([0-9]+)", urlsplit(self.path).path)
            self._answer(*(registry.by_id(int(found[1])) if found else (404, {"error_code": 404, "message": "HTTP 404 Not Found"})))

        def do_POST(self) -> None:
            """Answer a look-up by schema."""
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = re.fullmatch(r"/subjects/([^/]+)", urlsplit(self.path).path)
            if found is None:
                self._answer(405, {"error_code": 405, "message": "this registry takes no registrations"})
            else:
                self._answer(*registry.look_up(unquote(found[1]), json.loads(body["schema"])))

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            registry.asked.append(f"{self.command} {urlsplit(self.path).path}")
            if registry.fail_with is not None:
                status, body = registry.fail_with, {"error_code": 50001, "message": "Error in the backend data store"}
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            """Say nothing."""

    return Handler
