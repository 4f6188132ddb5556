"""Sample-ratio mismatch: whether the units that were seen divide as their assignment says, at any time.

Source: Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022. Under the
assigned shares p each new unit falls into arm k with probability p_k, so the Bayes factor against them of a
Dirichlet prior (concentration C, centred on p) is a martingale from 1,

    E = [G(C) / G(C + n)] product_k [G(C p_k + n_k) / G(C p_k)] p_k^(-n_k),

which ever reaches 1/alpha with probability at most alpha (Ville). Where the shares change, as in a ramp,
the units that came since form a phase of their own and the factors multiply: each is a martingale given
the phases before. 1/E, capped at 1, is an always-valid p-value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

# Weight of the prior in units; the test is most sensitive to mismatches of about 1 / sqrt(100).
CONCENTRATION = 100.0
ALPHA = 0.01


def mismatch_p_value(phases: Mapping[tuple[float, ...], Sequence[int]]) -> float:
    """Always-valid p-value of the counts by arm, by the shares under which they were counted.

    Units in an arm whose share is 0 cannot be: the p-value is 0 then.
    """
    log_factor = sum(_log_bayes_factor(shares, counts) for shares, counts in phases.items())
    return min(1.0, math.exp(-log_factor)) if log_factor > 0 else 1.0


def _log_bayes_factor(shares: Sequence[float], counts: Sequence[int]) -> float:
    total = sum(counts)
    log_factor = math.lgamma(CONCENTRATION) - math.lgamma(CONCENTRATION + total)
    for share, count in zip(shares, counts, strict=True):
        if share == 0:
            if count:
                return math.inf
            continue
        prior = CONCENTRATION * share
        log_factor += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return log_factor
