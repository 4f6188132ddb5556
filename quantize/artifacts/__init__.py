"""From statistics to quantized layers in the store, and from the store to a variant's tensors."""
