"""Experiments: what each arm did, guards that roll an arm back, ramps, shadows, and the state they keep."""
