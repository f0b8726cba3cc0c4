"""Measurements of what sitin exists for. ``make bench`` prints the table; see ``__main__``."""
