"""Teams, API keys and what a key may do. Used by every route."""
