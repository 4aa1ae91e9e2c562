"""``groundswell``, also as ``python -m services.console``."""

from __future__ import annotations

from services.common.logs import configure_logs
from services.console.app import app


def main() -> None:
    """Run the command line. What it has to say it prints; of what libraries log, only errors are shown."""
    configure_logs("console", "ERROR")
    app()


if __name__ == "__main__":
    main()
