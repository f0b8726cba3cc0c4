"""The Google side: Calendar v3, OAuth and channels. ``provider`` is what tests see of it."""
