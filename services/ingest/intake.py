"""``intake.yaml``: who may post what, signed how, to which raw topic."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from services.common.definition import read_definition
from services.common.errors import ConfigurationError
from services.common.ids import is_slug
from services.ingest.domain.reading import READERS
from services.ingest.domain.signatures import Scheme, secret_bytes


def _slug(name: str) -> str:
    if not is_slug(name):
        raise ValueError("expected 1-63 of a-z 0-9 . _ - with a letter or digit first")
    return name


class EndpointSpec(BaseModel):
    """One path, ``POST /v1/NAME``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, AfterValidator(_slug)]
    topic: str
    """Where the bodies go, byte for byte: a channel of ``channels.yaml``, or a topic of the documented form."""
    scheme: Scheme
    secret_variable: str = Field(pattern=r"[A-Z][A-Z0-9_]*")
    """The environment's variable that holds the secret; several, apart by blanks, while one is being changed for another."""
    rate: float = Field(default=100, gt=0)
    """Requests a second, on average."""
    burst: int = Field(default=200, ge=1)
    """Requests at once."""


class Intake(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    endpoints: list[EndpointSpec] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        names = [endpoint.name for endpoint in self.endpoints]
        if len(set(names)) < len(names):
            raise ValueError("an endpoint's name is listed twice")
        return self


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint with its secrets."""

    spec: EndpointSpec
    secrets: Sequence[bytes]


def load_intake(path: Path, topics: Sequence[str], environment: Mapping[str, str] = os.environ) -> list[Endpoint]:
    """Return the endpoints that *path* defines; *topics* are those of the channels.

    Raises:
        ConfigurationError: Names the file, and line and field of everything that is wrong, or the variable that holds no secret.
    """
    known = {*topics, *READERS}
    endpoints = []
    for spec in read_definition(path, Intake, "GROUNDSWELL_INTAKE_FILE").endpoints:
        if spec.topic not in known:
            raise ConfigurationError(f"{path}: endpoint {spec.name}: topic: {spec.topic} is none that ingest reads; see channels.yaml")
        given = environment.get(spec.secret_variable, "").split()
        try:
            secrets = [secret_bytes(spec.scheme, secret) for secret in given]
        except ValueError as error:
            raise ConfigurationError(f"{spec.secret_variable}: {error}, for endpoint {spec.name} of {path}") from None
        if not secrets or not all(secrets):
            raise ConfigurationError(f"{spec.secret_variable} holds no secret; endpoint {spec.name} of {path} needs one")
        endpoints.append(Endpoint(spec, secrets))
    return endpoints
