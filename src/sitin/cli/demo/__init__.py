"""`sitin demo`: a meeting held here, a bot in it, and what it reports. Used by ``cli.main``."""
