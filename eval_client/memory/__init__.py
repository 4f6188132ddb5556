"""Memory of the serving processes during a run."""

from eval_client.memory.sampler import find_source, sampling, summarise
from eval_client.memory.sources import Source

__all__ = ["Source", "find_source", "sampling", "summarise"]
