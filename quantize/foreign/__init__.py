"""The checkpoint formats of AutoAWQ and of AutoGPTQ and GPTQModel: written from variants, and read."""
