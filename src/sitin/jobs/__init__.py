"""How work runs: queue, delays, retries; the names of all tasks in one list."""
