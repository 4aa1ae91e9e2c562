"""How a command says that it cannot do what was asked: one line and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer
from aiokafka.errors import KafkaError
from rich.console import Console

from services.common.errors import ConfigurationError, PermanentError, TransientError


class ExitCode(IntEnum):
    """Why ``groundswell`` ended, after ``sysexits.h``."""

    FAILED = 1
    """The command ran, and what it checks does not hold."""
    USAGE = 2
    """An argument or an input file is wrong."""
    UNAVAILABLE = 69
    """The broker does not answer."""
    CONFIGURATION = 78
    """A setting, a definition file or a topic is wrong."""
    STOPPED = 143
    """SIGTERM came."""


class CommandFailed(Exception):  # noqa: N818 - named for what happened
    """Ends the command with *code* after printing the message as one line on standard error."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def reported() -> Iterator[None]:
    """Turn the errors that we expect into one line on standard error and an exit code; bugs keep their traceback."""
    try:
        yield
    except CommandFailed as error:
        _end(str(error), error.code)
    except ConfigurationError as error:
        _end(str(error), ExitCode.CONFIGURATION)
    except TransientError as error:
        _end(str(error), ExitCode.UNAVAILABLE)
    except PermanentError as error:
        _end(str(error), ExitCode.FAILED)
    except KafkaError as error:
        _end(f"Kafka: {type(error).__name__}: {error}", ExitCode.UNAVAILABLE)


def _end(message: str, code: ExitCode) -> None:
    Console(stderr=True, soft_wrap=True).print(f"groundswell: {message}", style="red", markup=False, highlight=False)
    raise typer.Exit(code)
