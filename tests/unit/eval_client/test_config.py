"""Settings: defaults < environment < flags; what is unknown is an error."""

import pytest

from bitloom.errors import InputError
from eval_client.config import parse_samples, parse_tasks, resolve_config

FLAGS = {"endpoint": "http://h:1", "model": "m", "data": "scenes:test"}


def test_flags_win_over_environment_and_environment_over_defaults() -> None:
    environment = {"BITLOOM_EVAL_CONCURRENCY": "3", "BITLOOM_EVAL_SEED": "7", "HOME": "/x"}
    config = resolve_config(FLAGS | {"concurrency": 5, "prompts": None}, environment)
    assert (config.concurrency, config.seed, config.prompts) == (5, 7, "auto")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"BITLOOM_EVAL_SEDE": "7"}, "BITLOOM_EVAL_SEDE: unknown"),
        ({"BITLOOM_EVAL_MODEL": "x"}, "BITLOOM_EVAL_MODEL: unknown"),
        ({"BITLOOM_EVAL_SEED": "seven"}, r"seed: .*'seven'"),
        ({"BITLOOM_EVAL_CONCURRENCY": "0"}, "concurrency: "),
        ({"BITLOOM_EVAL_VQA_VARIANT": "best"}, "vqa_variant: .*official"),
    ],
)
def test_a_bad_environment_is_refused(environment: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve_config(FLAGS, environment)


def test_tasks_come_in_a_fixed_order() -> None:
    assert parse_tasks("vqa, caption") == ("caption", "vqa")
    assert parse_tasks(None) is None
    with pytest.raises(InputError, match="unknown task 'ocr'"):
        parse_tasks("vqa,ocr")


def test_samples_are_one_number_or_one_each() -> None:
    assert parse_samples("50") == {"captions": 50, "questions": 50, "retrieval": 50}
    assert parse_samples("caption=20,vqa=7") == {"captions": 20, "questions": 7}
    assert parse_samples(None) == {}
    with pytest.raises(InputError, match="'ocr=3' is not understood"):
        parse_samples("ocr=3")


def test_no_images_are_listed_for_retrieval_that_is_not_run() -> None:
    config = resolve_config(FLAGS | {"tasks": ("vqa",)}, {})
    assert (config.limits.retrieval, config.limits.questions) == (0, 1000)
