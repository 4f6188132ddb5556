"""The transformers worker: the same OpenAI subset as the vLLM worker, wherever torch runs."""
