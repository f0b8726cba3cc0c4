"""Google Meet as a rehearsal shows it: its page, its data channels, its way of negotiating."""
