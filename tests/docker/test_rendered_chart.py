"""The Helm chart: what it renders is valid by the schemas of Kubernetes, and pods may do no more than they need."""

from __future__ import annotations

import copy
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml

from pgjit.config import load_config
from pgjit.demo.certificates import make_certificates
from tests.docker.rendered_chart import CHART, EXAMPLES, digest, kept, lint, rendered
from tests.run.processes import finish
from tests.run.programs import need

_VERSIONS = ("1.30", "1.37")
_NOT_OF_KUBERNETES = {"ServiceMonitor", "PrometheusRule", "TCPRoute", "TLSRoute"}


@functools.cache
def _documents(example: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(kept(example).read_text("utf-8")) if each]


_read_once = functools.cache(kubernetes_validate.utils.schema_contents)


def _only(example: str, kind: str, name: str = "pgjit") -> dict[str, Any]:
    [found] = [each for each in _documents(example) if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def _pod(example: str) -> dict[str, Any]:
    return dict(_only(example, "StatefulSet")["spec"]["template"]["spec"])


def _values(example: str) -> dict[str, Any]:
    """The defaults of the chart, with those of an example over them, as Helm merges them."""
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    return _merged(values, yaml.safe_load((CHART / "ci" / f"{example}-values.yaml").read_text("utf-8")))


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    found = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = _merged(found[key], value) if both else value
    return found


def _schema() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads((CHART / "values.schema.json").read_text("utf-8")))


# --- what is rendered ----------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_is_kept_was_rendered_from_this_chart(example: str) -> None:
    first = kept(example).read_text("utf-8").partition("\n")[0]
    assert first.endswith(digest()), "the chart has changed: run `python -m tests.docker.rendered_chart` with helm"


@pytest.mark.parametrize("version", _VERSIONS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_what_is_rendered_is_valid_by_the_schemas_of_kubernetes(
    example: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", _read_once)
    checked = [each for each in _documents(example) if each["kind"] not in _NOT_OF_KUBERNETES]
    assert {"StatefulSet", "Service", "ConfigMap", "PodDisruptionBudget"} <= {each["kind"] for each in checked}
    for each in checked:
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("example", EXAMPLES)
def test_no_container_may_do_more_than_it_needs(example: str) -> None:
    pod = _pod(example)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    assert not pod["automountServiceAccountToken"]
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert writable == {"/var/lib/pgjit", "/tmp"}
        assert not any("subPath" in mount for mount in container["volumeMounts"])


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_pod_that_is_stopped_has_the_time_that_its_drain_needs(example: str) -> None:
    pod = _pod(example)
    limits = yaml.safe_load(_only(example, "ConfigMap")["data"]["pgjit.yaml"])["limits"]
    assert pod["terminationGracePeriodSeconds"] > limits["drain_delay_seconds"] + limits["drain_seconds"] + 45
    [container] = pod["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_selector_finds_the_pods_and_every_mount_its_volume(example: str) -> None:
    stateful = _only(example, "StatefulSet")
    labels = stateful["spec"]["template"]["metadata"]["labels"].items()
    for each in _documents(example):
        match each["kind"]:
            case "Service":
                assert each["spec"]["selector"].items() <= labels
            case "PodDisruptionBudget":
                assert each["spec"]["selector"]["matchLabels"].items() <= labels
            case "NetworkPolicy":
                assert each["spec"]["podSelector"]["matchLabels"].items() <= labels
    pod = _pod(example)
    volumes = {volume["name"] for volume in pod["volumes"]} | {"state"}
    mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
    assert mounted == volumes
    assert stateful["spec"]["serviceName"] in {
        each["metadata"]["name"] for each in _documents(example) if each["kind"] == "Service"
    }


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_configuration_that_is_rendered_is_one(example: str, tmp_path: Path) -> None:
    """With the files that the pod would have: the mounts of secrets become files of this machine."""
    text = _only(example, "ConfigMap")["data"]["pgjit.yaml"].replace("/run/", f"{tmp_path}/run/")
    (tmp_path / "policies").mkdir()
    policies = {"jit.yaml": yaml.safe_dump(_A_POLICY)}
    if "policies:" in (CHART / "ci" / f"{example}-values.yaml").read_text("utf-8"):
        policies = _only(example, "ConfigMap", "pgjit-policies")["data"]
    for name, content in policies.items():
        (tmp_path / "policies" / name).write_text(content)
    made = make_certificates(tmp_path)
    for container in _pod(example)["containers"]:
        for mount in container["volumeMounts"]:
            (tmp_path / mount["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
    secrets = tmp_path / "run" / "secrets"
    shutil.copy(made.certificate, secrets / "pgjit-tls" / "tls.crt")
    shutil.copy(made.key, secrets / "pgjit-tls" / "tls.key")
    if (secrets / "pgjit-console").exists():
        (secrets / "pgjit-console" / "client-secret").write_text("secret")
    for folder in (secrets / "pgjit").glob("*"):
        (folder / "password").write_text("secret")
        shutil.copy(made.certificate, folder / "ca.crt")
    path = tmp_path / "pgjit.yaml"
    path.write_text(text.replace("/etc/pgjit-policies", str(tmp_path / "policies")))
    config = load_config(path)
    assert (config.file.listen.port, config.file.admin.port) == (6432, 9432)


def test_the_console_has_its_secret_from_a_file_and_browsers_a_rule_of_their_own() -> None:
    api = yaml.safe_load(_only("nodes", "ConfigMap")["data"]["pgjit.yaml"])["api"]
    assert api["listen"] == {"host": "0.0.0.0", "port": 8432}
    assert api["console"]["client_secret"] == {"file": "/run/secrets/pgjit-console/client-secret"}
    [volume] = [each for each in _pod("nodes")["volumes"] if each["name"] == "console-secret"]
    assert volume["secret"]["items"] == [{"key": "client-secret", "path": "client-secret"}]
    rules = {
        rule["ports"][0]["port"]: [each["ipBlock"]["cidr"] for each in rule["from"] if "ipBlock" in each]
        for rule in _only("nodes", "NetworkPolicy")["spec"]["ingress"]
    }
    assert (rules["postgresql"], rules["api"]) == (["10.30.0.0/16"], ["10.40.0.0/16"])
    ports = {each["name"]: each["targetPort"] for each in _only("nodes", "Service")["spec"]["ports"]}
    assert ports == {"postgresql": "postgresql", "api": "api"}


def test_without_an_api_no_port_is_open_for_it() -> None:
    [rule] = _only("single", "NetworkPolicy")["spec"]["ingress"]
    assert [each["port"] for each in rule["ports"]] == ["postgresql"]
    assert [each["name"] for each in _only("single", "Service")["spec"]["ports"]] == ["postgresql"]


_A_POLICY = {
    "policy": "reader", "connection": "shop", "group": "5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11", "grant": "on-request",
    "ttl": "30m", "record": True, "statements": {"access": "read-only"},
}  # fmt: skip


# --- values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_are_valid_values(example: str) -> None:
    assert [error.message for error in _schema().iter_errors(_values(example))] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("replicas",), 3),
        (("config", "listen"), {"port": 5432}),
        (("config", "tls"), {"certificate": "a", "key": "b"}),
        (("config", "connections"), {}),
        (("config", "identity", "tenant"), "contoso"),
        (("config", "store", "kind"), "sqlite"),
        (("config", "api", "listen"), {"port": 443}),
        (("config", "api", "console"), {"url": "https://pgjit.example.com"}),
        (("config", "api", "console", "url"), "http://pgjit.example.com"),
        (("config", "api", "console", "url"), "https://pgjit.example.com/console"),
        (("consoleSecret", "key"), ""),
        (("tls", "existingSecret"), ""),
        (("image", "digest"), "latest"),
        (("podSecurityContext", "runAsNonRoot"), False),
        (("persistence", "accessModes"), ["ReadWriteMany"]),
        (("service", "type"), "ExternalName"),
        (("policies",), {"Reader": {"policy": "a", "connection": "b"}}),
        (("secrets",), {"shop": {"keys": ["password"]}}),
        (("drain", "seconds"), -1),
    ],
)
def test_what_is_no_value_is_refused(path: tuple[str, ...], value: object) -> None:
    values = copy.deepcopy(_values("nodes"))
    inner: dict[str, Any] = values
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert not _schema().is_valid(values)


# --- where the tools are -------------------------------------------------------------------------------


@pytest.mark.foreign
@pytest.mark.live
@pytest.mark.parametrize("example", EXAMPLES)
def test_helm_has_nothing_to_say_and_renders_what_is_kept(example: str) -> None:
    [helm] = need("helm")
    assert lint(helm, example) == ""
    assert rendered(helm, example) == kept(example).read_text("utf-8")


@pytest.mark.foreign
@pytest.mark.live
def test_helm_refuses_a_client_secret_for_no_console_and_two_of_them() -> None:
    [helm] = need("helm")
    given = {
        "single": ("consoleSecret.existingSecret=x", "consoleSecret is for config.api.console"),
        "nodes": ("config.api.console.client_secret.env=X", "give either consoleSecret or"),
    }
    for example, (value, fault) in given.items():
        values = CHART / "ci" / f"{example}-values.yaml"
        done = finish(
            helm, "template", "x", CHART, "--kube-version", "1.34.0", "--values", values, "--set", value, seconds=120
        )
        assert fault in done.err


@pytest.mark.foreign
@pytest.mark.live
def test_helm_refuses_two_nodes_on_a_store_in_a_file() -> None:
    [helm] = need("helm")
    given = "--set", "replicaCount=2", "--skip-schema-validation"
    values = CHART / "ci" / "single-values.yaml"
    done = finish(helm, "template", "x", CHART, "--kube-version", "1.34.0", "--values", values, *given, seconds=120)
    assert "a store in a file serves one node" in done.err
