"""What rounding costs at the output of a layer, from the Hessian of its inputs alone.

With inputs X [n, in] and D = W_q - W, the output's error is ||X D^T||^2 = tr(D X^T X D^T) = tr(D H D^T)
exactly. So a held-out Hessian stands for the held-out inputs: reports need not keep them.
"""

from __future__ import annotations

import torch
from torch import Tensor


def row_losses(delta: Tensor, hessian: Tensor) -> Tensor:
    """Squared output error of each row: delta [..., in], hessian [in, in] -> [...]."""
    return ((delta @ hessian) * delta).sum(-1).clamp(min=0)


def relative_output_error(weight: Tensor, effective: Tensor, hessian: Tensor) -> float | None:
    """||X (W_q - W)^T|| / ||X W^T|| of weights [out, in]; None where the outputs are all zero."""
    energy = row_losses(weight, hessian).sum(dtype=torch.float64)
    if not bool(energy > 0):
        return None
    lost = row_losses(effective - weight, hessian).sum(dtype=torch.float64)
    return float((lost / energy).sqrt())


def relative_weight_error(weight: Tensor, effective: Tensor) -> float | None:
    """||W_q - W|| / ||W|| of weights [out, in]; None where the weight is all zero."""
    norm = torch.linalg.vector_norm(weight, dtype=torch.float64)
    if not bool(norm > 0):
        return None
    return float(torch.linalg.vector_norm(effective - weight, dtype=torch.float64) / norm)
