"""The HTTP surface: app factory, error rendering, paging, list of routers. No logic lives here."""
