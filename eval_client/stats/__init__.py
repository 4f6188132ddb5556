"""Error bars, tests of paired differences, equivalence and power, all clustered by image.

bootstrap     intervals of means and of functions of sums
sign_flip     p-values of paired differences: exact McNemar, and permutation for soft scores
paired        interval, equivalence (TOST) and bootstrap p-value of a difference
power         the smallest difference that a sample could have shown
multiple      Holm's correction
"""

from eval_client.stats.bootstrap import Array, Statistic, interval, mean_interval, share_interval

__all__ = ["Array", "Statistic", "interval", "mean_interval", "share_interval"]
