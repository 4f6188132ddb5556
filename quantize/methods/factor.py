"""The factor of a Hessian that GPTQ walks along, shared by every width of every layer of one input.

A linear layer y = W x loses, when its rows w become v, on average (w - v) H (w - v)^T with
H = sum x x^T (Frantar et al., GPTQ, arXiv 2210.17323, eq. 1; the factor 2 cancels everywhere).
Rounding column j by e_j and moving the columns after it by -e_j U[j, j+1:] is optimal for

    H^-1 = U^T U,  U upper triangular, e_j = (w_j - v_j) / U[j, j],

and the loss is then sum_j e_j^2. U needs no inverse of H: reversing rows and columns of H (J H J,
J the exchange matrix) and factorising it, J H J = L L^T, gives H = R R^T with R = J L J *upper*
triangular, hence H^-1 = R^-T R^-1, so U = R^-1. One Cholesky and one triangular inverse: half the work
of inverting H and factorising the inverse, and one rounding step fewer.

H may be singular (fewer samples than inputs, inputs that never fire). A *dead* input (H_jj = 0) is
decoupled: its diagonal becomes the mean of the others, so that its weights are just rounded; setting
them to zero, as the paper's code does, would break the layer for the first input that does wake them.
`damping` times the mean diagonal is added to the diagonal, ten times more each time Cholesky fails.

Act-order walks the columns by falling H_jj: what costs most is rounded while there are still columns
left to make up for it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from quantize.errors import QuantizationError

logger = logging.getLogger(__name__)

_GREATEST_DAMPING = 1.0


@dataclass(frozen=True, slots=True)
class Factor:
    """U of the module header, in the order of the walk.

    `upper` is [in, in]; `order` the input of each step, int64 [in], or None for 0, 1, 2, ...;
    `damping` the fraction of the mean diagonal it took; `dead` the number of dead inputs.
    """

    upper: Tensor
    order: Tensor | None
    damping: float
    dead: int


def factorise(hessian: Tensor, *, damping: float = 0.01, act_order: bool = False) -> Factor | None:
    """Factor of a Hessian [in, in], in its dtype; None where it is all zero: it knows nothing then.

    Raises QuantizationError for a Hessian that is not finite, or not positive semidefinite.
    """
    if not bool(torch.isfinite(hessian).all()):
        raise QuantizationError("the Hessian holds NaN or infinity; calibrate again")
    diagonal = hessian.diagonal()
    dead = diagonal <= 0
    if bool(dead.all()):
        return None
    mean = diagonal[~dead].mean()
    work = hessian.clone()
    work.diagonal()[dead] = mean
    order = torch.argsort(work.diagonal(), descending=True, stable=True) if act_order else None
    if order is not None:
        work = work[order][:, order]
    return _damped(work, float(mean), damping, order, int(dead.sum()))


def _damped(work: Tensor, mean: float, damping: float, order: Tensor | None, dead: int) -> Factor:
    added, wanted = 0.0, damping
    while wanted <= _GREATEST_DAMPING:
        work.diagonal().add_((wanted - added) * mean)
        added = wanted
        lower, failed = torch.linalg.cholesky_ex(work.flip(0, 1))
        if not bool(failed):
            if wanted > damping:
                logger.info("Hessian of %d inputs took damping %g", work.shape[0], wanted)
            identity = torch.eye(work.shape[0], dtype=work.dtype, device=work.device)
            upper = torch.linalg.solve_triangular(lower.flip(0, 1), identity, upper=True)
            return Factor(upper, order, wanted, dead)
        wanted = wanted * 10 if wanted > 0 else 1e-4
    raise QuantizationError(
        f"the Hessian is not positive semidefinite, even with damping {added:g}; calibrate again"
    )
