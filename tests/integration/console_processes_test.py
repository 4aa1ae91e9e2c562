"""The embedded stack keeps its processes as Kubernetes would."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from services.common.errors import ConfigurationError
from services.console.embedded.processes import Supervised
from services.console.embedded.stack import STATE_FILE, Stack, read_state


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def supervised(folder: Path, code: str, said: list[str]) -> Supervised:
    return Supervised("worker", [sys.executable, "-c", code], {"WORKER": "yes"}, folder / "worker.log", said.append)


async def test_a_killed_process_is_started_again_and_said_so(tmp_path: Path) -> None:
    said: list[str] = []
    process = supervised(tmp_path, "import time; time.sleep(60)", said)
    await process.start()
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: process.pid not in (None, first))
    assert process.starts == 2
    assert "worker ended (killed by SIGKILL) and is started again" in said[0]
    last = process.pid
    await process.stop(5)
    assert last is not None
    assert not psutil.pid_exists(last)


async def test_a_crash_is_named_by_its_exit_code(tmp_path: Path) -> None:
    said: list[str] = []
    process = supervised(tmp_path, "raise SystemExit(70)", said)
    await process.start()
    await until(lambda: process.starts > 1)
    await process.stop(5)
    assert "exit 70, bug" in said[0]


async def test_a_wrong_configuration_is_not_tried_again(tmp_path: Path) -> None:
    line = json.dumps({"event": "configuration", "error": "channels.yaml:3: topic: expected a name"})
    process = supervised(tmp_path, f"print({line!r}); raise SystemExit(78)", [])
    await process.start()
    await until(lambda: process.refusal is not None)
    assert (process.starts, process.refusal) == (1, "channels.yaml:3: topic: expected a name")
    await process.stop(5)


async def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    said: list[str] = []
    process = supervised(tmp_path, code, said)
    await process.start()
    await until(lambda: "deaf" in (tmp_path / "worker.log").read_text())
    await process.stop(0.2)
    assert process.pid is None
    assert "did not stop within" in said[0]


async def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigurationError, match="holds other files"):
        async with Stack(tmp_path, print):
            raise AssertionError
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert not (tmp_path / "logs").exists()


def test_what_other_commands_keep_in_the_folder_is_left_where_it_is(tmp_path: Path) -> None:
    kept = [tmp_path / name / "kept" for name in ("models", "engines")]
    for file in kept:
        file.parent.mkdir()
        file.touch()
    Stack(tmp_path, print)._clear()  # all that a start does before it starts anything
    assert all(file.exists() for file in kept)
    assert (tmp_path / "logs").is_dir()


async def test_a_running_stack_is_not_run_over(tmp_path: Path) -> None:
    state = {"pid": os.getpid(), "bootstrap_servers": "x", "data_dir": "x", "logs_dir": "x", "mail_log": "x"}
    (tmp_path / STATE_FILE).write_text(json.dumps(state))
    with pytest.raises(ConfigurationError, match=f"already .process {os.getpid()}"):
        async with Stack(tmp_path, print):
            raise AssertionError


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": 1}'])
def test_a_state_that_cannot_be_read_is_no_stack(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE_FILE).write_text(text)
    assert read_state(tmp_path) is None


@pytest.mark.stack
async def test_a_refused_definition_stops_the_stack_with_its_words(tmp_path: Path) -> None:
    channels = tmp_path / "channels.yaml"
    channels.write_text("version: 1\nchannels: []\n")
    environment = {"GROUNDSWELL_CHANNELS_FILE": str(channels)}
    with pytest.raises(ConfigurationError, match=r"ingest refuses to start: .*channels\.yaml:2"):
        async with Stack(tmp_path / "stack", print, environment):
            raise AssertionError
    assert read_state(tmp_path / "stack") is None
