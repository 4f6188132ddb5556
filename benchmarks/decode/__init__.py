"""The engines and models of `benchmarks.cpu_decode`."""
