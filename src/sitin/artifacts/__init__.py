"""What a recording leaves behind: stored, signed, expired. Used by bots and api."""
