"""The Microsoft side: Graph v1.0, OAuth and subscriptions. ``provider`` is what tests see."""
