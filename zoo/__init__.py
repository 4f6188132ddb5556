"""Small, really trained LLaVA and BLIP-2 checkpoints, the scenes they were trained on, and their training."""
