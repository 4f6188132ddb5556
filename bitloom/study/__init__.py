"""The study: grids of plans, what matters in their results, and the best plan for a budget."""
