"""Arms that would be asked different things are refused."""

import pytest

from bitloom.errors import InputError
from bitloom.results import RunPlan
from eval_client.ab.arm import refuse_shortlist


def plan(modes: dict[str, str]) -> RunPlan:
    return RunPlan(
        model="m",
        dataset="scenes:test",
        dataset_hash="0" * 64,
        tasks=("retrieval",),
        limits={},
        prompts={},
        modes=modes,
        seed=0,
    )


def test_a_shortlist_of_each_model_s_own_is_refused() -> None:
    refuse_shortlist(plan({"retrieval": "yes_probability"}))
    with pytest.raises(InputError, match="shortlist 8: each model would draw up its own"):
        refuse_shortlist(plan({"retrieval_shortlist": "8"}))
