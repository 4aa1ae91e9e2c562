"""The chart: linted, rendered for every ci/*-values.yaml, valid by strict Kubernetes schemas, and consistent in itself."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import helm_python
import kubernetes_validate
import pytest
import yaml

from services.common.topics import load_topics
from tests.contract.deploy_rendering import (
    CHART,
    CI_VALUES,
    RELEASE,
    WORKERS,
    Manifest,
    ci_values,
    environment,
    known_settings,
    of_kind,
    pods,
    render,
    rendered,
)

_KUBERNETES = "1.33.0"
_NAMES = [path.name.removesuffix("-values.yaml") for path in CI_VALUES]
_CUSTOM = {"keda.sh/v1alpha1", "monitoring.coreos.com/v1"}
_GOLDEN = Path(__file__).parent / "deploy_golden"

every_render = pytest.mark.parametrize("name", _NAMES)


def test_there_are_values_to_check() -> None:
    assert {"minimal", "mongo-hpa", "keda-tls"} <= set(_NAMES)


@every_render
def test_lint_finds_nothing(name: str) -> None:
    report = helm_python.lint(CHART, ci_values(name), strict=True, kube_version=f"v{_KUBERNETES}")
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] >= 2] == []


def test_lint_finds_nothing_in_the_defaults() -> None:
    assert helm_python.lint(CHART, {}, strict=True, kube_version=f"v{_KUBERNETES}")["errors"] == []


def _validate(manifest: Manifest) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the validator's own jsonschema usage
        kubernetes_validate.validate(manifest, _KUBERNETES, strict=True)


@every_render
def test_every_manifest_is_valid_by_strict_schemas(name: str) -> None:
    for manifest in rendered(name):
        if manifest["apiVersion"] not in _CUSTOM:
            _validate(manifest)


def test_a_misspelt_field_is_not_valid() -> None:
    deployment = of_kind(rendered("minimal"), "Deployment")[f"{RELEASE}-groundswell-ingest"]
    deployment["spec"]["template"]["spec"]["automountServiceAcountToken"] = False
    with pytest.raises(kubernetes_validate.ValidationError):
        _validate(deployment)


@every_render
def test_the_render_is_the_golden_one(name: str) -> None:
    """After a change that is meant: GROUNDSWELL_UPDATE_GOLDEN=1 make chart, and read the difference."""
    actual = yaml.safe_dump_all(rendered(name), sort_keys=True, width=140)
    golden = _GOLDEN / f"{name}.yaml"
    if os.environ.get("GROUNDSWELL_UPDATE_GOLDEN"):
        golden.write_text(actual)
    assert golden.read_text() == actual


@every_render
def test_every_worker_is_there(name: str) -> None:
    assert {f"{RELEASE}-groundswell-{worker}" for worker in WORKERS} == set(of_kind(rendered(name), "Deployment"))


@every_render
def test_names_are_unique_of_their_kind(name: str) -> None:
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in rendered(name)]
    assert len(names) == len(set(names))


def test_long_names_stay_apart_and_within_63_characters() -> None:
    manifests = render(ci_values("mongo-hpa"), release="a-release-name-that-is-as-long-as-helm-allows-it-53ch")
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(names) == len(set(names))
    assert max(len(name) for _, name in names) <= 63


@every_render
def test_every_variable_is_a_setting(name: str) -> None:
    known = known_settings()
    for owner, template in pods(rendered(name)).items():
        unknown = set(environment(template)) - known
        assert not unknown, f"{owner} sets {unknown}, which no service reads"


@every_render
def test_secrets_come_by_reference_only(name: str) -> None:
    for template in pods(rendered(name)).values():
        for variable, value in environment(template).items():
            if any(word in variable for word in ("PASSWORD", "USERNAME", "STORE_URL")):
                assert "secretKeyRef" in value
    assert not of_kind(rendered(name), "Secret")


def _chosen(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())


@every_render
def test_every_selector_chooses_the_pods_of_its_own_name_only(name: str) -> None:
    manifests = rendered(name)
    labels = {owner: template["metadata"]["labels"] for owner, template in pods(manifests).items()}
    for manifest in manifests:
        selector = _selector(manifest)
        if selector is not None:
            chosen = [owner for owner, own in labels.items() if _chosen(selector, own)]
            owner = manifest["metadata"]["name"].replace("-intake", "-ingest")  # webhooks go to ingest's pods
            assert [owner] == chosen, manifest["kind"]


def _selector(manifest: Manifest) -> Mapping[str, str] | None:
    match manifest["kind"]:
        case "Service":
            return dict(manifest["spec"]["selector"])
        case "Deployment" | "PodDisruptionBudget":
            return dict(manifest["spec"]["selector"]["matchLabels"])
        case "NetworkPolicy":
            return dict(manifest["spec"]["podSelector"]["matchLabels"])
        case _:
            return None


@every_render
def test_what_scales_names_a_deployment_that_leaves_replicas_to_it(name: str) -> None:
    manifests = rendered(name)
    deployments = of_kind(manifests, "Deployment")
    scalers = of_kind(manifests, "HorizontalPodAutoscaler", "ScaledObject")
    targets = {scaler["spec"]["scaleTargetRef"]["name"] for scaler in scalers.values()}
    assert targets == {name for name, deployment in deployments.items() if "replicas" not in deployment["spec"]}


@every_render
def test_a_monitor_finds_its_service(name: str) -> None:
    manifests = rendered(name)
    services = of_kind(manifests, "Service")
    for monitor_name, monitor in of_kind(manifests, "ServiceMonitor").items():
        selector = monitor["spec"]["selector"]["matchLabels"]
        assert [monitor_name] == [n for n, service in services.items() if _chosen(selector, service["metadata"]["labels"])]
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in services[monitor_name]["spec"]["ports"]}


@every_render
def test_every_mount_has_its_volume_and_every_config_map_exists(name: str) -> None:
    manifests = rendered(name)
    for template in pods(manifests).values():
        (container,) = template["spec"]["containers"]
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        assert set(volumes) == {mount["name"] for mount in container["volumeMounts"]}
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"] in of_kind(manifests, "ConfigMap")
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in of_kind(manifests, "PersistentVolumeClaim")


@every_render
def test_every_file_that_a_variable_names_is_mounted(name: str) -> None:
    manifests = rendered(name)
    for template in pods(manifests).values():
        (container,) = template["spec"]["containers"]
        mounts = tuple(f"{mount['mountPath']}/" for mount in container["volumeMounts"])
        for variable, value in environment(template).items():
            if variable.endswith(("FILE", "DIR")):
                assert f"{value}/".startswith(mounts), variable


@every_render
def test_pods_are_admitted_where_the_restricted_standard_holds(name: str) -> None:
    for template in pods(rendered(name)).values():
        pod = template["spec"]
        (container,) = pod["containers"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"emptyDir": {}, "name": "tmp"} in pod["volumes"]


@every_render
def test_workers_are_probed_and_given_time_to_stop(name: str) -> None:
    for deployment in of_kind(rendered(name), "Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        paths = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")}
        assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
        assert pod["terminationGracePeriodSeconds"] > float(environment(deployment["spec"]["template"])["GROUNDSWELL_STOP_SECONDS"])
        assert {(c["topologyKey"], *c["matchLabelKeys"]) for c in pod["topologySpreadConstraints"]} == {
            ("kubernetes.io/hostname", "pod-template-hash"),
            ("topology.kubernetes.io/zone", "pod-template-hash"),
        }


@every_render
def test_at_most_one_worker_of_a_service_is_drained_at_a_time(name: str) -> None:
    budgets = of_kind(rendered(name), "PodDisruptionBudget")
    assert set(budgets) == set(of_kind(rendered(name), "Deployment"))
    assert {budget["spec"]["maxUnavailable"] for budget in budgets.values()} == {1}


def test_the_broker_the_store_and_mail_may_be_reached_and_nothing_else() -> None:
    policies = of_kind(rendered("keda-tls"), "NetworkPolicy")
    ports = {name: {p["port"] for rule in policy["spec"]["egress"] for p in rule["ports"]} for name, policy in policies.items()}
    assert ports[f"{RELEASE}-groundswell-ingest"] == {53, 9094, 27017, 8081}
    assert ports[f"{RELEASE}-groundswell-notifier"] == {53, 9094, 27017, 8081, 465}
    assert ports[f"{RELEASE}-groundswell-topics"] == {53, 9094, 8081}
    assert "ingress" not in policies[f"{RELEASE}-groundswell-topics"]["spec"]


def test_topics_are_created_before_the_workers() -> None:
    job = of_kind(rendered("minimal"), "Job")[f"{RELEASE}-groundswell-topics"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["topics", "apply"]


def test_sqlite_takes_one_worker_a_service_on_a_volume_that_stays() -> None:
    manifests = rendered("minimal")
    for deployment in of_kind(manifests, "Deployment").values():
        assert deployment["spec"]["replicas"] == 1
        assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    for claim in of_kind(manifests, "PersistentVolumeClaim").values():
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_mongodb_gives_each_service_a_url_of_its_own() -> None:
    urls = [
        environment(t)["GROUNDSWELL_STORE_URL"] for t in pods(rendered("keda-tls")).values() if "GROUNDSWELL_STORE_URL" in environment(t)
    ]
    assert {f"{worker}-url" for worker in WORKERS} == {url["secretKeyRef"]["key"] for url in urls}


def test_a_definition_reaches_the_service_that_reads_it_and_restarts_no_other() -> None:
    values = ci_values("keda-tls")
    before = pods(render(values))
    after = pods(render({**values, "definitions": {**values["definitions"], "segments": "version: '2'"}}))
    assert [f"{RELEASE}-groundswell-segmenter"] == [name for name in before if before[name] != after[name]]
    assert "GROUNDSWELL_SEGMENTS_FILE" in environment(after[f"{RELEASE}-groundswell-segmenter"])
    assert "GROUNDSWELL_SEGMENTS_FILE" not in environment(after[f"{RELEASE}-groundswell-ingest"])


def test_keda_watches_topics_that_the_service_reads_as_its_own_group() -> None:
    topics = load_topics()
    for worker in WORKERS:
        scaled = of_kind(rendered("keda-tls"), "ScaledObject")[f"{RELEASE}-groundswell-{worker}"]["spec"]
        watched = [trigger["metadata"]["topic"] for trigger in scaled["triggers"]]
        assert watched == [topic for topic in watched if worker in topics[topic].consumers]
        assert {name for name, topic in topics.items() if worker in topic.consumers} == set(watched)
        assert {trigger["metadata"]["consumerGroup"] for trigger in scaled["triggers"]} == {f"groundswell-{worker}"}
        assert scaled["minReplicaCount"] >= 1


def test_keda_reaches_a_secured_broker_through_secrets() -> None:
    manifests = rendered("keda-tls")
    (authentication,) = of_kind(manifests, "TriggerAuthentication").values()
    assert {e["parameter"] for e in authentication["spec"]["secretTargetRef"]} == {"username", "password", "ca", "cert", "key"}
    for scaled in of_kind(manifests, "ScaledObject").values():
        for trigger in scaled["spec"]["triggers"]:
            assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
            assert (trigger["metadata"]["sasl"], trigger["metadata"]["tls"]) == ("scram_sha512", "enable")
            assert all(isinstance(value, str) for value in trigger["metadata"].values())


def test_a_service_can_be_left_out() -> None:
    manifests = render({"services": {"notifier": {"enabled": False}}})
    assert f"{RELEASE}-groundswell-notifier" not in {manifest["metadata"]["name"] for manifest in manifests}
