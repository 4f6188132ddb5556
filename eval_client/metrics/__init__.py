"""Metrics, equal to the implementations whose figures people publish. No engine, no server, no Java."""
