"""Which component matters for a score: consensus importance, and whether it can be trusted."""
