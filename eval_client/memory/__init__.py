"""Memory of the serving processes during a run."""

from eval_client.memory.sampler import QUALITY_PERIOD_S, TIMED_PERIOD_S, find_source, sampling, summarise
from eval_client.memory.sources import Source

__all__ = ["QUALITY_PERIOD_S", "TIMED_PERIOD_S", "Source", "find_source", "sampling", "summarise"]
