"""Measures the models of the zoo in process, with stock transformers: `python -m zoo.evaluate FAMILY`."""
