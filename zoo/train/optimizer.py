"""Muon for the matrices, AdamW for the rest, under one cosine schedule.

Muon (Jordan et al., 2024) replaces the momentum of a matrix by its nearest orthogonal matrix, found by five
Newton-Schulz steps; scaled by 0.2 sqrt(max(rows, columns)) its updates are as large as AdamW's (Moonlight,
arXiv 2502.16982). torch.optim.Muon does the steps in bfloat16, one matrix at a time: on a CPU without
bfloat16 instructions that takes longer than the backward pass. Here they are float32 and batched by shape.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from zoo.train.settings import Stage

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_NEWTON_SCHULZ_STEPS = 5
_MOMENTUM = 0.95
_MUON_RATE = 4.0
_SMALLEST_MATRIX = 64
_GRADIENT_NORM = 1.0


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay."""

    def __init__(self, groups: list[dict[str, Any]], weight_decay: float) -> None:
        super().__init__(groups, {"lr": 0.0, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                directions = orthogonalized(torch.stack([self._momentum(each) for each in parameters]))
                rate = group["lr"] * 0.2 * math.sqrt(max(shape))
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(direction, alpha=rate)

    def _momentum(self, parameter: nn.Parameter) -> torch.Tensor:
        assert parameter.grad is not None
        buffer: torch.Tensor = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
        buffer.lerp_(parameter.grad, 1 - _MOMENTUM)
        direction: torch.Tensor = parameter.grad.lerp(buffer, _MOMENTUM)
        return direction


def orthogonalized(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices with the same singular vectors and singular values near one: [n, rows, columns]."""
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    wide = matrices.mT if is_tall else matrices
    x: torch.Tensor = wide / torch.linalg.matrix_norm(wide, keepdim=True).clamp_min(1e-7)
    a, b, c = _NEWTON_SCHULZ
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if is_tall else x


class StageOptimizer:
    """The optimizers of one stage and their schedule."""

    def __init__(self, stage: Stage, vision: nn.Module, others: Iterable[nn.Module], decay: float) -> None:
        self._stage = stage
        self.parameters: list[nn.Parameter] = []
        groups: dict[str, list[dict[str, Any]]] = {"matrix": [], "tensor": [], "vector": []}
        for module, rate in (
            (vision, stage.rate * stage.vision_rate),
            *((each, stage.rate) for each in others),
        ):
            sorted_parameters = _by_kind(module)
            for kind, parameters in sorted_parameters.items():
                self.parameters += parameters
                kind_rate = rate * _MUON_RATE if kind == "matrix" else rate
                groups[kind].append({"params": parameters, "lr": kind_rate, "full_rate": kind_rate})
        tensors = [group | {"weight_decay": decay} for group in groups["tensor"]]
        vectors = [group | {"weight_decay": 0.0} for group in groups["vector"]]
        self._optimizers: tuple[torch.optim.Optimizer, ...] = (
            Muon(groups["matrix"], decay),
            torch.optim.AdamW(tensors + vectors, betas=(0.9, 0.98), fused=True),
        )

    def step(self, number: int) -> None:
        """Clip the gradients, update with the rate of this step of the stage, and forget the gradients."""
        nn.utils.clip_grad_norm_(self.parameters, _GRADIENT_NORM)
        factor = schedule(number, self._stage)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["full_rate"] * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """The state of both optimizers, for a checkpoint."""
        return [optimizer.state_dict() for optimizer in self._optimizers]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from a checkpoint of the same stage."""
        for optimizer, state in zip(self._optimizers, states, strict=True):
            optimizer.load_state_dict(state)


def schedule(step: int, stage: Stage) -> float:
    """Linear warm-up, then a cosine to zero: the factor on every learning rate."""
    warmup = min(1.0, (step + 1) / stage.warmup)
    return warmup * 0.5 * (1 + math.cos(math.pi * step / stage.steps))


def _by_kind(module: nn.Module) -> dict[str, list[nn.Parameter]]:
    """A module's parameters: Linear weights large enough for Muon, other tensors, vectors."""
    matrices = {
        id(each.weight)
        for name, each in module.named_modules()
        if isinstance(each, nn.Linear)
        and min(each.weight.shape) >= _SMALLEST_MATRIX
        and not name.endswith("lm_head")
    }
    kinds: dict[str, list[nn.Parameter]] = {"matrix": [], "tensor": [], "vector": []}
    for parameter in module.parameters():
        kind = "matrix" if id(parameter) in matrices else "tensor" if parameter.ndim > 1 else "vector"
        kinds[kind].append(parameter)
    return {kind: parameters for kind, parameters in kinds.items() if parameters}
