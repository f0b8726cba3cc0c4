"""How the controls show rehearsed calendars: plain values for JSON and for the page."""

from typing import Any

from sitin.kit.clock import iso
from sitin.rehearsal.calendars.accounts import Account
from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.faults import Fault
from sitin.rehearsal.calendars.model import Event, Moment
from sitin.rehearsal.calendars.provider import Exchange, RehearsedProvider
from sitin.rehearsal.calendars.pushes import Pushes


def account_state(account: Account) -> dict[str, Any]:
    """An account with its grant and its calendars."""
    grant = account.grant
    return {
        "email": account.email,
        "name": account.name,
        "licensed": account.licensed,
        "client_id": grant.client.id,
        "refresh_token": grant.refresh_token,
        "scopes": sorted(grant.scopes),
        "ended": grant.ended,
        "calendars": [
            {
                "id": entry.calendar.id,
                "name": entry.calendar.name,
                "zone": entry.calendar.zone.key,
                "role": entry.role.value,
                "primary": entry.calendar is account.primary,
                "pushes": entry.calendar.pushes,
            }
            for entry in account.entries.values()
            if not entry.gone and not entry.calendar.deleted
        ],
    }


def provider_state(provider: RehearsedProvider) -> dict[str, Any]:
    """A provider with all that is at it."""
    return {
        "client": {"id": provider.client.id, "secret": provider.client.secret},
        "accounts": [account_state(account) for account in provider.accounts.values()],
        "watchers": provider.watchers(),
        "faults": [fault_state(fault) for fault in provider.faults.there],
    }


def fault_state(fault: Fault) -> dict[str, Any]:
    """Something that is to go wrong, and how often still."""
    return {
        "what": fault.name,
        "operation": fault.operation,
        "page": fault.page,
        "account": fault.account,
        "skip": fault.skip,
        "times": fault.times,
        "afterwards": fault.afterwards,
    }


def pushes_state(pushes: Pushes) -> dict[str, Any]:
    """What became of the last notifications."""
    return {
        "held": pushes.held,
        "dropped": pushes.dropped,
        "deliveries": [
            {
                "subscriptions": list(one.subscriptions),
                "url": one.url,
                "status": one.status,
                "error": one.error,
            }
            for one in list(pushes.log)[-100:]
        ],
    }


def exchange_state(exchange: Exchange) -> dict[str, Any]:
    """A request and how it was answered."""
    return {
        "operation": exchange.operation,
        "method": exchange.method,
        "path": exchange.path,
        "query": dict(exchange.query),
        "page": exchange.page,
        "account": exchange.account,
        "status": exchange.status,
        "fault": exchange.fault,
    }


def event_state(event: Event, calendar: Calendar, provider: RehearsedProvider) -> dict[str, Any]:
    """An event, a series or an occurrence.

    ``id`` and ``on`` are how the controls know it, ``api_id`` is how clients do.
    """
    start, end = event.span.bounds(calendar.zone)
    return {
        "id": event.id,
        "on": event.key,
        "api_id": provider.api_id(event),
        "ical_uid": event.ical_uid,
        "title": event.title,
        "start": _written(event.span.start),
        "end": _written(event.span.end),
        "start_utc": iso(start),
        "end_utc": iso(end),
        "zone": event.span.zone,
        "all_day": event.span.all_day,
        "status": event.status.value,
        "removed": event.removed,
        "recurrence": list(event.recurrence),
        "is_exception": event.is_exception,
        "original_start": None if event.original is None else _written(event.original),
        "description": event.description,
        "location": event.location,
        "meeting_url": None if event.conference is None else event.conference.video,
        "conference": None if event.conference is None else event.conference.state.value,
        "organizer": None if event.organizer is None else event.organizer.email,
        "attendees": [
            {"email": one.email, "name": one.name, "response": one.response.value}
            for one in event.attendees
        ],
        "response": event.response_of(calendar.address),
        "kind": event.kind.value,
        "private": event.private,
    }


def _written(moment: Moment) -> str:
    return moment.isoformat()
