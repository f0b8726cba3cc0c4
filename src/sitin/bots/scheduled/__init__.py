"""Bots that go later: kept as what was asked for until their time comes, then queued as bots."""
