"""The docs site: pages of `docs/`, and a reference of every module made from its docstrings."""
