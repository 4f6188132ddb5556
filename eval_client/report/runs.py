"""Finished runs as the report reads them: manifest, answers, scores of samples, and the model's size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from bitloom.errors import CheckpointError, DataError
from bitloom.results import (
    LATENCY_NAME,
    MEMORY_NAME,
    RUN_NAME,
    SAMPLES_NAME,
    SCORES_NAME,
    MemorySample,
    RunManifest,
    SampleRecord,
    SampleScore,
)
from bitloom.schema import Schema, describe
from bitloom.variant import MANIFEST_NAME, read_manifest

Row = TypeVar("Row", bound=Schema)


class _Tensor(BaseModel):
    """A tensor in the header of a safetensors file."""

    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


_Header = TypeAdapter(dict[str, _Tensor | dict[str, str]])
"""Tensors by name, and `__metadata__`."""


@dataclass(frozen=True, slots=True)
class Size:
    """Stored bytes of all weights, and bits per weight with everything counted."""

    stored_bytes: int
    bpw: float


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One run of a report. `size` and `model_directory` are None where that directory was not given."""

    name: str
    directory: Path
    manifest: RunManifest
    answers: Mapping[str, SampleRecord]
    scores: Mapping[str, SampleScore]
    timed: Sequence[SampleRecord]
    memory: Sequence[MemorySample]
    size: Size | None
    model_directory: Path | None = None


def load_run(directory: Path, sizes: Mapping[str, Path]) -> ReportRun:
    """A finished run; `sizes` maps model names to their directories.

    Raises DataError where the directory holds no finished run or a file of it is damaged, CheckpointError
    where a model's directory holds no weights.
    """
    if not (directory / RUN_NAME).is_file():
        raise DataError(f"{directory}: no {RUN_NAME}; give a directory that `bitloom eval` wrote to its end")
    manifest = RunManifest.read(directory / RUN_NAME)
    model = sizes.get(manifest.model)
    return ReportRun(
        name=manifest.model,
        directory=directory,
        manifest=manifest,
        answers={record.sample_id: record for record in _rows(directory / SAMPLES_NAME, SampleRecord)},
        scores={score.sample_id: score for score in _rows(directory / SCORES_NAME, SampleScore)},
        timed=_rows(directory / LATENCY_NAME, SampleRecord),
        memory=_rows(directory / MEMORY_NAME, MemorySample),
        size=None if model is None else model_size(model),
        model_directory=model,
    )


def model_size(directory: Path) -> Size:
    """Size of a variant by its manifest, or of a dense checkpoint by the headers of its weight files.

    Raises CheckpointError, VariantError.
    """
    if (directory / MANIFEST_NAME).is_file():
        total = read_manifest(directory).total
        return Size(total.stored_bytes, total.bpw)
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"{directory}: no {MANIFEST_NAME}, no *.safetensors; give a model's directory")
    counted = [_count(file) for file in files]
    stored_bytes = sum(size for size, _ in counted)
    return Size(stored_bytes, 8 * stored_bytes / sum(parameters for _, parameters in counted))


def _count(file: Path) -> tuple[int, int]:
    """Bytes and parameters of a safetensors file: its header is JSON after a length of 8 bytes."""
    try:
        with file.open("rb") as opened:
            length = min(int.from_bytes(opened.read(8), "little"), file.stat().st_size)
            header = _Header.validate_json(opened.read(length))
    except (OSError, ValidationError) as exc:
        raise CheckpointError(f"{file}: no safetensors header ({exc}); copy the checkpoint anew") from exc
    tensors = [entry for entry in header.values() if isinstance(entry, _Tensor)]
    stored_bytes = sum(tensor.data_offsets[1] - tensor.data_offsets[0] for tensor in tensors)
    return stored_bytes, sum(math.prod(tensor.shape) for tensor in tensors)


def _rows(path: Path, schema: type[Row]) -> list[Row]:
    """Lines of a results file, in order; none where the run did not write it. Raises DataError."""
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            rows.append(schema.model_validate_json(line))
        except ValidationError as exc:
            raise DataError(f"{path}, line {number}: {describe(exc)[:200]}; evaluate it again") from exc
    return rows
