"""The contract that every stage of Bitloom shares: plan, variant manifest, results, errors."""

__version__ = "0.1.0"
