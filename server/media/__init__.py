"""Images of requests: checked, decoded once, handed to the workers in one canonical form."""
