"""Calendars that teams connect: connections, their events, and the bots that go to them."""
