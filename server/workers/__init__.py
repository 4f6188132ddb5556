"""Engine workers: one process runs one engine for one variant behind a private Unix socket."""
