"""How a server is spread over a Ray cluster, without a Ray."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bitloom.errors import InputError
from deploy.ray.config import RayConfig, check, unmet
from server.config import ServerConfig

VARIANTS = [{"name": "a", "directory": "a"}, {"name": "far", "url": "http://far:8000"}]


def spread(**fields: Any) -> RayConfig:
    return RayConfig.model_validate({"server": "server.yaml", **fields})


def test_replicas_are_fixed_or_follow_the_load() -> None:
    scaled = {"num_gpus": 1, "autoscaling": {"max_replicas": 4, "target_ongoing_requests": 2}}
    variants = spread(variants={"a": {"replicas": 3, "max_queued_requests": 5}, "b": scaled}).variants
    fixed, following = variants["a"].options(), variants["b"].options()
    assert (fixed["num_replicas"], fixed["max_queued_requests"]) == (3, 5)
    assert "num_replicas" not in following
    wanted = {"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 2}
    assert following["autoscaling_config"] == wanted
    assert following["ray_actor_options"]["num_gpus"] == 1


@pytest.mark.parametrize(
    ("fields", "server", "message"),
    [
        ({"variants": {"b": {}}}, {}, "no such local variant: b; the server has a"),
        ({"variants": {"far": {}}}, {}, "no such local variant: far"),
        ({"gateways": 2}, {"state_dir": "state"}, "2 gateways cannot share one state_dir"),
    ],
)
def test_what_does_not_fit_the_server(fields: dict[str, Any], server: dict[str, Any], message: str) -> None:
    config = ServerConfig.model_validate({"variants": VARIANTS, **server})
    with pytest.raises(InputError, match=message):
        check(spread(**fields), config)
    check(spread(variants={"a": {}}), config)


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match="replica"):
        spread(variants={"a": {"replica": 2}})


def test_no_gpu_where_one_is_asked_for() -> None:
    wanted = spread(variants={"a": {"num_gpus": 1}, "b": {}})
    (line,) = unmet(wanted, {"CPU": 4.0})
    assert line.startswith("a asks for 1 GPUs a replica and the cluster has 0")
    assert unmet(wanted, {"GPU": 2.0}) == []
