"""The table of Microsoft's routes. For the server."""

from starlette.routing import Mount

from sitin.rehearsal.calendars.microsoft.events import EventHandlers
from sitin.rehearsal.calendars.microsoft.lists import ListHandlers
from sitin.rehearsal.calendars.microsoft.provider import (
    GRAPH_PATH,
    LOGIN_PATH,
    MicrosoftRehearsal,
)
from sitin.rehearsal.calendars.provider import TOKEN

_CALENDAR = "/me/calendars/{calendar_id}"
_SUBSCRIPTION = "/subscriptions/{subscription_id}"
_READ, _WRITE = "calendars.read", "calendars.write"
_DELTA = ("delta", "delta()", "microsoft.graph.delta()")
"""Three spellings of the same function; each is in use."""


def microsoft_routes(microsoft: MicrosoftRehearsal) -> list[Mount]:
    """Everything that Microsoft answers to: the token endpoint and Graph."""
    lists, events = ListHandlers(microsoft), EventHandlers(microsoft)
    table = [
        ("GET", "/me", "me", lists.profile, "user"),
        ("GET", "/me/calendars", "calendars.list", lists.list_calendars, _READ),
        ("GET", "/me/calendar", "calendars.get", lists.calendar, _READ),
        ("GET", _CALENDAR, "calendars.get", lists.calendar, _READ),
        ("POST", "/subscriptions", "subscriptions.create", lists.subscribe, _READ),
        ("GET", "/subscriptions", "subscriptions.list", lists.list_subscriptions, _READ),
        ("GET", _SUBSCRIPTION, "subscriptions.get", lists.subscription, _READ),
        ("PATCH", _SUBSCRIPTION, "subscriptions.renew", lists.renew, _READ),
        ("DELETE", _SUBSCRIPTION, "subscriptions.delete", lists.unsubscribe, _READ),
        (
            "POST",
            f"{_SUBSCRIPTION}/reauthorize",
            "subscriptions.reauthorize",
            lists.reauthorize,
            _READ,
        ),
    ]
    for base in ("/me", "/me/calendar", _CALENDAR):
        event = f"{base}/events/{{event_id}}"
        table += [
            ("GET", f"{base}/calendarView", "calendarView", events.view, _READ),
            *(
                ("GET", f"{base}/calendarView/{name}", "delta", events.delta, _READ)
                for name in _DELTA
            ),
            ("POST", f"{base}/events", "events.create", events.create, _WRITE),
            ("GET", event, "events.get", events.get, _READ),
            ("PATCH", event, "events.patch", events.patch, _WRITE),
            ("DELETE", event, "events.delete", events.delete, _WRITE),
        ]
    token = microsoft.route("/{tenant}/oauth2/v2.0/token", "POST", TOKEN, lists.token)
    graph = [
        microsoft.route(path, method, operation, handler, needs=needs)
        for method, path, operation, handler, needs in table
    ]
    return [
        Mount(LOGIN_PATH, routes=[token]),
        Mount(GRAPH_PATH, routes=[Mount("/v1.0", routes=[*graph, *microsoft.elsewhere()])]),
    ]
