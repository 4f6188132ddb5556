"""Plans measured by swapping weights in a running engine, many of them without a restart."""
