"""One bot, one process. Supervised from outside, never opens the database."""
