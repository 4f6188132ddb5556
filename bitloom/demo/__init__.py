"""The whole loop on a small model: quantize three ways, serve all, evaluate all, report.

Every stage is the same `bitloom` command that a user types, run as a process of its own.
"""
