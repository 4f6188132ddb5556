from __future__ import annotations

import json
from math import exp
from pathlib import Path

import pytest
from click.testing import CliRunner

from bitloom.errors import InputError
from eval_client.cli_score import command

COCO = {
    "annotations": [{"id": 1, "image_id": 5, "caption": "a dog"}, {"id": 2, "image_id": 6, "caption": "x"}]
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A references file and a results file."""
    references, results = tmp_path / "coco.json", tmp_path / "results.json"
    references.write_text(json.dumps(COCO))
    results.write_text(json.dumps([{"image_id": 5, "caption": "a dog"}, {"image_id": 6, "caption": "y"}]))
    return str(references), str(results)


def test_json_has_scores_and_samples_at_full_precision(files: tuple[str, str]) -> None:
    arguments = ["caption", "--references", files[0], "--predictions", files[1], "--json"]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    document = json.loads(done.output)
    assert list(document["scores"]) == ["CIDEr", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L"]
    # two of three words match, and the lengths agree but for what guards against division by zero
    assert document["scores"]["Bleu_1"] == 2.000000000000001 / 3.000000001 * exp(
        1 - 3.000000001 / 3.000000000000001
    )
    assert [sample["image_id"] for sample in document["per_sample"]] == [5, 6]


def test_table_for_people(files: tuple[str, str]) -> None:
    arguments = ["caption", "--references", files[0], "--predictions", files[1]]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert "ROUGE_L" in done.output
    assert "0.5000" in done.output


def test_wrong_input_ends_with_exit_code_2(files: tuple[str, str]) -> None:
    done = CliRunner().invoke(command, ["caption", "--references", files[0], "--predictions", "none.json"])
    assert isinstance(done.exception, InputError)
    assert done.exception.exit_code == 2


def test_vqa_must_name_its_variant() -> None:
    done = CliRunner().invoke(
        command, ["vqa", "--questions", "q", "--annotations", "a", "--predictions", "p"]
    )
    assert done.exit_code == 2
    assert "official" in done.output
