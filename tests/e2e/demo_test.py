"""``groundswell demo`` as a user runs it: what it shows, what it leaves, and how it ends."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.stack, pytest.mark.model, pytest.mark.timeout(500)]

SHOWN = (
    "What people ask for most",
    "Joined: ",
    "Merged by a command: ",
    "Who was told that",
    "opted_out",
    "Dead letters: 8",
    "p50",
    "Conservation",
    "nothing was lost",
)


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.console", "demo", *arguments], capture_output=True, text=True, check=False, timeout=400
    )


def test_the_bundled_sample_is_conserved_and_explained() -> None:
    ended = demo()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [words for words in SHOWN if words not in ended.stdout] == []
    assert {"ann@example.com"} >= set(re.findall(r"[\w.]+@[\w.]+", ended.stdout)), "an address of the sample's people was printed"
    assert [child.cmdline() for child in psutil.Process().children(recursive=True) if "groundswell-demo" in " ".join(child.cmdline())] == []


def test_a_file_of_ones_own_goes_the_same_way(tmp_path: Path) -> None:
    file = tmp_path / "wishes.csv"
    rows = [
        "id,text,author",
        "1,Please add a dark mode,ann@example.com",
        "2,please add a dark mode!,Bo",
        *["3,Export to Excel,"] * 2,
        '4," ",',
    ]
    file.write_text("\n".join(rows))
    ended = demo("--input", str(file))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Dead letters: 1" in ended.stdout
    assert "nothing was lost" in ended.stdout


def test_a_wrong_file_is_refused_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "wishes.csv"
    file.write_text("id,text\n1,fine\n2\n")
    ended = demo("--input", str(file))
    assert (2, f"groundswell: {file}:3: expected 2 columns: id, text\n") == (ended.returncode, ended.stderr)
