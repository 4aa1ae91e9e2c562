"""The real engines without Docker, for development and CI: Apache Kafka on Java, FerretDB (MongoDB's protocol) on Go.

What they need is fetched or built once and kept below ``.groundswell/engines``.
"""

from __future__ import annotations

from services.common.paths import ROOT

ENGINES = ROOT / ".groundswell" / "engines"
