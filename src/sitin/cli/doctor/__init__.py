"""`sitin doctor`: looks at this machine, or sends a bot into a meeting. Used by ``cli.main``."""
