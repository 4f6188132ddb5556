"""The worker of studies: one engine that takes on plan after plan, and is asked the same each time."""
