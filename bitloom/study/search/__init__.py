"""The best plan under a budget, with as few measurements as possible."""
