"""sitin sends bots that sit in on meetings, record them, and report."""
