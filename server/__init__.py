"""Gateway, supervisor and workers that serve variants behind one OpenAI-style endpoint."""
