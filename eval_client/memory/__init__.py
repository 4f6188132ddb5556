"""Memory of the serving processes during a run."""

from eval_client.memory.sampler import PERIOD_S, find_source, sampling, summarise
from eval_client.memory.sources import Source

__all__ = ["PERIOD_S", "Source", "find_source", "sampling", "summarise"]
