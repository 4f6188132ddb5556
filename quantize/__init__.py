"""The offline stage: a base checkpoint and a plan become a variant directory."""
