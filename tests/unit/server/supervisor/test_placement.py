"""Variants are packed by what they need, and the refusal shows the arithmetic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitloom.errors import CheckpointError
from server.config import ServerConfig
from server.supervisor.need import Need, cache_need, need_of, read_text_config
from server.supervisor.placement import (
    DoesNotFit,
    Pool,
    arm_groups,
    cache_plan,
    pack,
    place_all,
    unequal_caches,
)
from server.variants import Variant
from server.workers.command import WorkerOptions

MIB = 1 << 20
TEXT = {"model_type": "llama", "num_hidden_layers": 4, "num_attention_heads": 4, "hidden_size": 256}
TEXT |= {"intermediate_size": 512, "vocab_size": 512, "max_position_embeddings": 2048}


def need(name: str, weights: int) -> Need:
    return Need(name, weights * MIB, 10 * MIB, 5 * MIB, 5 * MIB)


def checkpoint(folder: Path, name: str, layers: int = 4, weight_bytes: int = 1000) -> Path:
    directory = folder / name
    directory.mkdir()
    text = {**TEXT, "num_hidden_layers": layers}
    (directory / "config.json").write_text(json.dumps({"text_config": text, "dtype": "bfloat16"}))
    (directory / "model.safetensors").write_bytes(b"x" * weight_bytes)
    return directory


def served(*directories: Path) -> tuple[Variant, ...]:
    return tuple(Variant(each.name, "vllm", each, None, "base", "", None) for each in directories)


def config(names: list[str], **settings: object) -> ServerConfig:
    variants = [{"name": name, "directory": name} for name in names]
    return ServerConfig.model_validate({"variants": variants, **settings})


def test_the_refusal_shows_the_arithmetic() -> None:
    pools = [Pool(0, 100 * MIB), Pool(1, 60 * MIB)]
    with pytest.raises(DoesNotFit) as caught:
        pack(pools, [need("a", 70), need("b", 30), need("c", 30)])
    text = str(caught.value)
    assert "variant c does not fit" in text
    assert "c: weights 30 + KV cache 10 + activations 5 + engine 5 = 50 MiB" in text
    assert "GPU 0: 100 - a 90 = 10 MiB free" in text
    assert "GPU 1: 60 - b 50 = 10 MiB free" in text


@given(st.lists(st.integers(1, 60), max_size=12))
def test_no_pool_is_overfull(weights: list[int]) -> None:
    pools = [Pool(0, 120 * MIB), Pool(1, 100 * MIB)]
    needs = [need(str(index), weight) for index, weight in enumerate(weights)]
    try:
        placed = pack(pools, needs)
    except DoesNotFit:
        # Best-fit decreasing fails only where no pool has room for what is left.
        assert sum(each.total_bytes for each in needs) > 100 * MIB
        return
    assert set(placed) == {each.name for each in needs}
    for pool in pools:
        inside = [place.need.total_bytes for place in placed.values() if place.pool == pool]
        assert sum(inside) <= pool.memory_bytes


def test_a_need_follows_the_files(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path, "a", weight_bytes=12345)
    options = WorkerOptions(max_num_seqs=16, kv_cache_bytes=7 * MIB)
    found = need_of("a", "vllm", directory, options, None)
    assert found.weight_bytes == 12345
    assert found.cache_bytes == 7 * MIB
    assert found.activation_bytes == 2048 * (4 * 256 + 2 * 512) * 2 + 16 * 512 * 4
    # 2 (keys, values) * 4 layers * 4 heads * 64 * 2 bytes * 2048 tokens * 16 sequences
    assert cache_need(directory, WorkerOptions(max_num_seqs=16)) == 2 * 4 * 4 * 64 * 2 * 2048 * 16


def test_keys_that_a_config_leaves_out_are_transformers_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"text_config": {"model_type": "llama", "vocab_size": 32064}}')
    text = read_text_config(tmp_path)
    assert (text["num_hidden_layers"], text["hidden_size"], text["vocab_size"]) == (32, 4096, 32064)
    (tmp_path / "config.json").write_text('{"text_config": {"model_type": "unheard"}}')
    with pytest.raises(CheckpointError, match="num_hidden_layers"):
        read_text_config(tmp_path)


def test_arms_of_one_experiment_get_equal_caches(tmp_path: Path) -> None:
    variants = served(
        checkpoint(tmp_path, "a"), checkpoint(tmp_path, "b", layers=8), checkpoint(tmp_path, "c")
    )
    routes = [{"name": "r", "arms": [{"variant": "a"}, {"variant": "b"}]}]
    plan = cache_plan(config(["a", "b", "c"], routes=routes), variants)
    assert plan == dict.fromkeys("ab", 2 * 8 * 4 * 64 * 2 * 2048 * 16)


def test_a_new_arm_and_those_there_are_get_the_largest_cache(tmp_path: Path) -> None:
    variants = served(
        checkpoint(tmp_path, "a"), checkpoint(tmp_path, "b", layers=8), checkpoint(tmp_path, "c")
    )
    most = 2 * 8 * 4 * 64 * 2 * 2048 * 16
    arms = config(["a", "b", "c"], routes=[{"name": "r", "arms": [{"variant": "a"}, {"variant": "b"}]}])
    assert unequal_caches(arms, variants, {}) == dict.fromkeys("ab", most)
    assert unequal_caches(arms, variants, {"a": most, "c": 1}) == {"b": most}
    assert unequal_caches(arms, variants, {"a": 2 * most, "b": most}) == {"b": 2 * most}
    assert unequal_caches(arms, variants, dict.fromkeys("ab", most)) == {}
    assert unequal_caches(config(["a", "b", "c"]), variants, {"a": 1}) == {}


def test_routes_that_share_an_arm_are_one_group() -> None:
    routes = [
        {"name": "r", "arms": [{"variant": "a"}, {"variant": "b"}]},
        {"name": "s", "arms": [{"variant": "c"}, {"variant": "d"}]},
        {"name": "t", "arms": [{"variant": "b"}, {"variant": "c"}]},
    ]
    assert arm_groups(config(list("abcd"), routes=routes)) == [{"a", "b", "c", "d"}]


def test_without_a_budget_nothing_is_placed_and_with_one_everything(tmp_path: Path) -> None:
    variants = served(checkpoint(tmp_path, "a"), checkpoint(tmp_path, "b"))
    assert place_all(config(["a", "b"]), variants) == {}
    gpus = [{"index": index, "memory_bytes": 2000 * MIB} for index in (0, 1)]
    places = place_all(config(["a", "b"], placement={"gpus": gpus}), variants)
    assert {place.pool.gpu for place in places.values()} == {0}
    with pytest.raises(DoesNotFit, match="variant"):
        place_all(config(["a", "b"], placement={"memory_bytes": 1000 * MIB}), variants)
