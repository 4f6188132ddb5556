"""Captioning, retrieval and VQA benchmarks over HTTP, with latency and memory."""
