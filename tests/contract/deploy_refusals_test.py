"""What the chart refuses before a cluster ever sees it, and with which words."""

from __future__ import annotations

from typing import Any

import helm_python
import pytest

from tests.contract.deploy_rendering import render

_REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "sqlite with two workers": ({"services": {"ingest": {"replicas": 2}}}, "a SQLite file takes one worker: set replicas to 1"),
    "sqlite scaled by CPU": ({"defaults": {"autoscaling": {"type": "hpa"}}}, "a SQLite file takes one worker"),
    "sqlite scaled by lag": ({"services": {"dedup": {"autoscaling": {"type": "keda"}}}}, "services.dedup.autoscaling.type is keda"),
    "hpa and keda at once": ({"defaults": {"autoscaling": {"type": ["hpa", "keda"]}}}, "autoscaling"),
    "mongodb without a URL": ({"store": {"type": "mongodb"}}, "store.mongodb.existingSecret is empty"),
    "SASL without a password": ({"kafka": {"securityProtocol": "SASL_SSL"}}, "kafka.existingSecret is empty"),
    "a certificate without its key": ({"kafka": {"tls": {"existingSecret": "x", "certKey": "tls.crt", "keyKey": ""}}}, "keyKey"),
    "a misspelt value": ({"kafka": {"bootstrapServer": "kafka:9092"}}, "bootstrapServer"),
    "a misspelt value of a worker": ({"services": {"ingest": {"replica": 1}}}, "replica"),
    "an unknown service": ({"services": {"injest": {}}}, "injest"),
    "a broker without a port": ({"kafka": {"bootstrapServers": "kafka"}}, "bootstrapServers"),
    "a password in the environment": ({"defaults": {"env": {"GROUNDSWELL_SMTP_PASSWORD": "x"}}}, "GROUNDSWELL_SMTP_PASSWORD"),
    "a variable that the chart owns": ({"defaults": {"env": {"GROUNDSWELL_HTTP_PORT": "1"}}}, "GROUNDSWELL_HTTP_PORT"),
    "a variable that is no setting of ours": ({"defaults": {"env": {"PATH": "/"}}}, "PATH"),
    "mail from nobody": ({"smtp": {"host": "smtp.example.com"}}, "smtp.sender is empty"),
    "links to a page that nobody serves": ({"unsubscribe": {"url": "https://x.example", "existingSecret": "x"}}, "intake.enabled is false"),
    "links that nobody signs": (
        {"unsubscribe": {"url": "https://x.example"}, "intake": {"enabled": True, "definition": "x", "existingSecret": "x"}},
        "unsubscribe.existingSecret is empty",
    ),
    "a log level that is none": ({"defaults": {"logLevel": "LOUD"}}, "logLevel"),
}

_MONGODB = {"type": "mongodb", "mongodb": {"existingSecret": "urls"}}
_REFUSED |= {
    "more workers than partitions": ({"store": _MONGODB, "services": {"dedup": {"replicas": 13}}}, "its topics have 12 partitions"),
    "scaling past the partitions": (
        {"store": _MONGODB, "topics": {"partitions": 4}, "defaults": {"autoscaling": {"type": "keda", "maxReplicas": 5}}},
        "its topics have 4 partitions",
    ),
    "a minimum above the maximum": (
        {"store": _MONGODB, "defaults": {"autoscaling": {"type": "hpa", "minReplicas": 7}}},
        "minReplicas is above maxReplicas",
    ),
    "lag of no topic": (
        {"store": _MONGODB, "services": {"dedup": {"autoscaling": {"type": "keda", "keda": {"topics": []}}}}},
        "services.dedup.autoscaling.keda.topics is empty",
    ),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_what_cannot_run_is_refused_with_a_reason(case: str) -> None:
    values, says = _REFUSED[case]
    with pytest.raises(helm_python.HelmError) as caught:
        render(values)
    assert says in str(caught.value)
