"""Weights of 2..8 bits that stay packed in memory on a CPU: a C++ library and torch operators on it."""
