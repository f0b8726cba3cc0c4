"""The table of Google's routes. For the server."""

from starlette.routing import Mount

from sitin.rehearsal.calendars.google.events import EventHandlers
from sitin.rehearsal.calendars.google.lists import ListHandlers
from sitin.rehearsal.calendars.google.provider import PATH, GoogleRehearsal
from sitin.rehearsal.calendars.provider import TOKEN

_LIST = "/calendar/v3/users/me/calendarList"
_CALENDAR = "/calendar/v3/calendars/{calendar_id}"
_EVENTS = f"{_CALENDAR}/events"
_EVENT = f"{_EVENTS}/{{event_id}}"


def google_routes(google: GoogleRehearsal) -> Mount:
    """Everything that Google answers to."""
    lists, events = ListHandlers(google), EventHandlers(google)
    table = [
        ("POST", "/token", TOKEN, lists.token, ""),
        ("GET", "/oauth2/v2/userinfo", "userinfo", lists.userinfo, "userinfo"),
        ("GET", _LIST, "calendarList.list", lists.list_calendars, "calendarList"),
        ("GET", f"{_LIST}/{{calendar_id}}", "calendarList.get", lists.entry, "calendarList"),
        ("GET", _CALENDAR, "calendars.get", lists.calendar, "calendars"),
        ("GET", _EVENTS, "events.list", events.list_events, "events.read"),
        ("POST", _EVENTS, "events.insert", events.insert, "events.write"),
        ("POST", f"{_EVENTS}/watch", "events.watch", events.watch, "events.read"),
        ("GET", _EVENT, "events.get", events.get, "events.read"),
        ("PATCH", _EVENT, "events.patch", events.patch, "events.write"),
        ("DELETE", _EVENT, "events.delete", events.delete, "events.write"),
        ("GET", f"{_EVENT}/instances", "events.instances", events.instances, "events.read"),
        ("POST", "/calendar/v3/channels/stop", "channels.stop", events.stop, "channels"),
    ]
    return Mount(
        PATH,
        routes=[
            *(
                google.route(path, method, operation, handler, needs=needs)
                for method, path, operation, handler, needs in table
            ),
            *google.elsewhere(),
        ],
    )
