"""Packages of Node's, for tests in which a library of another language judges what we made."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

from services.common.paths import ROOT

MISSING = shutil.which("npm") is None
"""Whether this machine has no Node: who skips for it says what was not judged."""
_MODULES = ROOT / ".groundswell" / "npm"


def ran(package: str, script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run *script* in *folder* with *package* (``name@version``) at hand, which is installed by the first who asks for it."""
    home = _MODULES / package
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "lock"):  # npm leaves half a package where two processes install it at once
        if not (home / "installed").exists():
            subprocess.run(["npm", "install", "--silent", "--prefix", home, package], check=True, capture_output=True)
            (home / "installed").touch()
    environment = {**os.environ, "NODE_PATH": str(home / "node_modules")}
    return subprocess.run(["node", "-e", script, *arguments], cwd=folder, env=environment, capture_output=True, check=False)
