"""Writing a variant: compressed-tensors weights and config, then the manifest."""
