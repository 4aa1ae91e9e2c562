"""``groundswell``, also as ``python -m services.console``."""

from __future__ import annotations

from services.console.app import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
