"""Trains the models of the zoo from scratch: `python -m zoo.train llava|blip2`."""
