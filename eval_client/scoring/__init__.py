"""Scoring of result files in the official formats, without a server."""
