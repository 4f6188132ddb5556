"""The chart, rendered by Helm's own code and held against Kubernetes' schemas."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.tools import interpreter
from server.config import ServerConfig

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "deploy" / "helm" / "bitloom"
PYTHON = interpreter("deploy-tools")
pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="no Helm here; make its environment: python deploy/tools.py deploy-tools"
)

MEMORY = {"limits": {"memory": "8Gi"}}
SCALED = {"minReplicas": 1, "maxReplicas": 3, "queueLength": 8}
FULL = {
    "gateway": {
        "keysSecret": "keys",
        "settings": {"limits": {"outstanding": 9}},
        "allowFrom": [{"app": "web"}],
    },
    "variants": [
        {"name": "v8", "gpus": 1, "autoscaling": SCALED, "worker": {"max_images": 2}},
        {
            "name": "Base_" + "x" * 60 + ".y",
            "path": "base",
            "resources": {"limits": {"memory": "8Gi"}},
            "replicas": 0,
        },
    ],
    "routes": [{"name": "llava", "arms": [{"variant": "v8", "weight": 1}]}],
    "weights": {"init": {"image": "busybox:1.37", "command": ["true"]}},
    "serviceMonitor": {"enabled": True, "labels": {"release": "monitoring"}},
    "prometheusRule": {"enabled": True},
}


TO_STORE = [{"to": [{"podSelector": {"matchLabels": {"app": "store"}}}], "ports": [{"port": 9000}]}]
FROM_STORE = {"weights": {"init": {"image": "busybox:1.37", "command": ["true"], "egress": TO_STORE}}}
CLOSED = {**FULL, "weights": {}, "serviceMonitor": {"enabled": False}}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"varaints": []}, "varaints"),
    ({"variants": [{"gpus": 1}]}, "name"),
    ({"variants": [{"name": "a/b"}]}, "variants/0/name"),
    ({"variants": [{"name": "a", "path": "../../etc"}]}, "path"),
    ({"variants": [{"name": "a", "gpus": -1}]}, "gpus"),
    ({"variants": [{"name": "a", "autoscaling": {"minReplicas": 1}}]}, "maxReplicas"),
    ({"gateway": {"replicas": 0}}, "replicas"),
    ({"gateway": {"settings": {"variants": []}}}, "settings"),
    ({"routes": [{"name": "r", "arms": []}]}, "arms"),
    ({"weights": {"init": {"image": "busybox"}}}, "command"),
]


@cache
def rendered() -> list[dict[str, Any]]:
    """The chart with no values, FULL, CLOSED, FROM_STORE and then WRONG; one process: Helm loads slowly."""
    assert PYTHON is not None
    child = Path(__file__).with_name("helm_child.py")
    values = json.dumps([{}, FULL, CLOSED, FROM_STORE, *(each for each, _ in WRONG)])
    done = subprocess.run([PYTHON, child, CHART], input=values, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


@pytest.fixture
def full() -> list[dict[str, Any]]:
    assert "error" not in rendered()[1], rendered()[1]
    return list(rendered()[1]["documents"])


def of_kind(documents: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in documents if each["kind"] == kind}


def test_defaults_and_everything_are_valid_kubernetes() -> None:
    plain, everything = rendered()[:2]
    assert plain["lint"] == []
    assert plain["without_schema"] == []
    assert set(everything["without_schema"]) == {"ServiceMonitor", "PrometheusRule", "ScaledObject"}
    assert len(everything["documents"]) == 17


def test_the_gateway_gets_a_configuration_that_the_server_accepts(full: list[dict[str, Any]]) -> None:
    settings = yaml.safe_load(of_kind(full, "ConfigMap")["demo-gateway"]["data"]["server.yaml"])
    config = ServerConfig.model_validate(settings)
    assert config.limits.outstanding == 9
    assert [variant.name for variant in config.variants] == [each["name"] for each in FULL["variants"]]  # type: ignore[index]
    services = of_kind(full, "Service")
    for variant in config.variants:
        assert str(variant.url).removeprefix("http://").removesuffix(":8000") in services


def test_selectors_find_their_pods_and_no_others(full: list[dict[str, Any]]) -> None:
    deployments = of_kind(full, "Deployment")
    for name, service in of_kind(full, "Service").items():
        wanted = service["spec"]["selector"].items()
        found = [
            other
            for other, each in deployments.items()
            if wanted <= each["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert found == [name]
        assert len(name) <= 63
    for each in deployments.values():
        pod = each["spec"]["template"]
        assert each["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_variants_are_reached_by_the_gateway_alone_and_reach_nothing() -> None:
    documents = rendered()[2]["documents"]
    policy = of_kind(documents, "NetworkPolicy")["demo-variants"]["spec"]
    assert policy["egress"] == []
    (rule,) = policy["ingress"]
    (source,) = rule["from"]
    gateway = of_kind(documents, "Deployment")["demo-gateway"]["spec"]["template"]["metadata"]["labels"]
    assert source["podSelector"]["matchLabels"] == gateway
    for name, each in of_kind(documents, "Deployment").items():
        labels = each["spec"]["template"]["metadata"]["labels"]
        is_variant = policy["podSelector"]["matchLabels"].items() <= labels.items()
        assert is_variant == (name != "demo-gateway")


def test_weights_are_fetched_over_tls_alone_or_as_allowed(full: list[dict[str, Any]]) -> None:
    (rule,) = of_kind(full, "NetworkPolicy")["demo-variants"]["spec"]["egress"]
    assert sorted(each["port"] for each in rule["ports"]) == [53, 53, 443]
    documents = rendered()[3]["documents"]
    assert of_kind(documents, "NetworkPolicy")["demo-variants"]["spec"]["egress"] == TO_STORE


def test_containers_can_do_little(full: list[dict[str, Any]]) -> None:
    for each in of_kind(full, "Deployment").values():
        pod = each["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"] + pod.get("initContainers", []):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}


def test_gpus_choose_the_image_and_are_asked_for(full: list[dict[str, Any]]) -> None:
    on_gpu, on_cpu = (
        of_kind(full, "Deployment")[name]["spec"]["template"]["spec"]["containers"][0]
        for name in sorted(of_kind(full, "Deployment"), reverse=True)
        if name != "demo-gateway"
    )
    assert (on_gpu["image"], on_gpu["resources"]["limits"]["nvidia.com/gpu"]) == ("bitloom:gpu", 1)
    assert (on_cpu["image"], on_cpu["resources"]) == ("bitloom:cpu", {"limits": {"memory": "8Gi"}})
    assert {"name": "BITLOOM_SERVE_WORKER__MAX_IMAGES", "value": "2"} in on_gpu["env"]


def test_replicas_are_autoscaled_or_as_given(full: list[dict[str, Any]]) -> None:
    scaled, off = (
        of_kind(full, "Deployment")[name]["spec"]
        for name in sorted(of_kind(full, "Deployment"), reverse=True)
        if name != "demo-gateway"
    )
    assert "replicas" not in scaled
    assert off["replicas"] == 0


def test_the_charts_rules_are_the_ones_that_are_tested(full: list[dict[str, Any]]) -> None:
    tested = ROOT / "deploy" / "prometheus" / "rules"
    for name in ("recording.yml", "alerts.yml"):
        kept = (CHART / "rules" / name).read_bytes()
        assert kept == (tested / name).read_bytes(), f"copy deploy/prometheus/rules/{name} into the chart"
    names = ("recording.yml", "alerts.yml")
    groups = [group for name in names for group in yaml.safe_load((tested / name).read_text())["groups"]]
    assert of_kind(full, "PrometheusRule")["demo"]["spec"]["groups"] == groups


@pytest.mark.parametrize("index", range(len(WRONG)))
def test_wrong_values_are_refused_with_their_place(index: int) -> None:
    assert WRONG[index][1] in rendered()[4 + index]["error"]
