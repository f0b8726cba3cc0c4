"""Bots from request to result, and the only writer of a bot's status. Used by api and cli."""
