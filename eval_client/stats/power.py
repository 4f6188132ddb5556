"""The smallest difference that a sample could have shown.

A true difference d is found with the chance `POWER` at the level `ALPHA` where d = (t_a + t_p) s: s is the
standard error of the difference, t_a and t_p Student's quantiles of 1 - ALPHA / 2 and of POWER. Where hardly
an image differs, s says little: no paired test calls under `_FEWEST` images significant, however one-sided
(2 * 0.5 ** 6 < 0.05), and so many differ with the chance POWER only where the share of differing images is
at least `least_share`.
"""

from __future__ import annotations

import math

from scipy import special, stats

ALPHA = 0.05
POWER = 0.8
_FEWEST = math.ceil(math.log2(2 / ALPHA))


def detectable_difference(standard_error: float, images: int, scale: float) -> float:
    """The smallest true difference found with 80 % chance at the 5 % level.

    Args:
        standard_error: of the difference.
        images: number of clusters, at least 2.
        scale: what an image loses that loses all; 0 where enough images differ for the error to say it.
    """
    quantiles = special.stdtrit(images - 1, 1 - ALPHA / 2) + special.stdtrit(images - 1, POWER)
    return max(float(quantiles) * standard_error, least_share(images) * scale)


def least_share(images: int) -> float:
    """The share of images that must differ so that enough for any test do, with 80 % chance; at most 1."""
    if images <= _FEWEST:
        return 1.0
    return float(stats.beta.ppf(POWER, _FEWEST, images - _FEWEST + 1))
