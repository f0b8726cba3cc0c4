"""The controls of rehearsed calendars over HTTP, for programs in any language and for the page.

A control takes a JSON object and answers with what it changed; a form of the page takes the same
way and ends on the page again. ``docs/rehearsal-calendars.md`` lists them.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import parse_qsl

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sitin.kit.clock import iso
from sitin.rehearsal.answers import (
    ERRORS,
    answer_error,
    describe,
    names,
    read_json,
    waited,
)
from sitin.rehearsal.calendars import bodies
from sitin.rehearsal.calendars.accounts import Account
from sitin.rehearsal.calendars.calendar import Calendar
from sitin.rehearsal.calendars.clock import MovableClock
from sitin.rehearsal.calendars.errors import UnknownError
from sitin.rehearsal.calendars.google.provider import GoogleRehearsal
from sitin.rehearsal.calendars.microsoft.provider import MicrosoftRehearsal
from sitin.rehearsal.calendars.model import Event
from sitin.rehearsal.calendars.page import render_page
from sitin.rehearsal.calendars.provider import RehearsedProvider
from sitin.rehearsal.calendars.pushes import Pushes
from sitin.rehearsal.calendars.states import (
    account_state,
    event_state,
    exchange_state,
    fault_state,
    provider_state,
    pushes_state,
)

PATH = "/_rehearsal/calendars"
"""Where the controls are."""

_FORM = "application/x-www-form-urlencoded"
_WINDOW = timedelta(weeks=4)

Control = tuple[type[BaseModel], Callable[..., Any]]
"""What a control is given, and what it does."""

EVENT_CONTROLS: Mapping[str, Control] = {
    "move": (
        bodies.MoveBody,
        lambda calendar, event, body: calendar.move(event, **dict(body)),
    ),
    "edit": (
        bodies.EditBody,
        lambda calendar, event, body: calendar.edit(event, on=body.on, **body.content()),
    ),
    "respond": (
        bodies.RespondBody,
        lambda calendar, event, body: calendar.respond(event, **dict(body)),
    ),
    "decline": (
        bodies.DeclineBody,
        lambda calendar, event, body: calendar.decline(event, **dict(body)),
    ),
    "cancel": (bodies.OnBody, lambda calendar, event, body: calendar.cancel(event, on=body.on)),
    "delete": (bodies.OnBody, lambda calendar, event, body: calendar.delete(event, on=body.on)),
    "restore": (bodies.OnBody, lambda calendar, event, body: calendar.restore(event, on=body.on)),
    "touch": (bodies.OnBody, lambda calendar, event, body: calendar.touch(event, on=body.on)),
    "split": (
        bodies.SplitBody,
        lambda calendar, event, body: calendar.split(
            event, body.on, start=body.start, recurrence=body.recurrence, **body.content()
        ),
    ),
    "repeat": (
        bodies.RepeatBody,
        lambda calendar, event, body: calendar.repeat(event, body.recurrence, start=body.start),
    ),
    "reset": (bodies.NoBody, lambda calendar, event, _: calendar.reset(event)),
    "finish_conference": (
        bodies.ConferenceBody,
        lambda calendar, event, body: calendar.finish_conference(
            event, body.meeting_url, on=body.on
        ),
    ),
}
"""What people do with an event, named as ``Calendar``'s methods."""

CALENDAR_CONTROLS: Mapping[str, Control] = {
    "expire_sync": (bodies.NoBody, lambda calendar, _: calendar.expire_sync()),
    "pushes": (
        bodies.PushesBody,
        lambda calendar, body: setattr(calendar, "pushes", body.allowed),
    ),
}

ACCOUNT_CONTROLS: Mapping[str, Control] = {
    "revoke": (
        bodies.EndBody,
        lambda account, body, _: account.revoke(body.reason, access_lives_on=body.access_lives_on),
    ),
    "renew": (bodies.NoBody, lambda account, *_: account.grant.renew()),
    "expire_access": (bodies.NoBody, lambda account, *_: account.expire_access()),
    "expire_sync": (bodies.NoBody, lambda account, *_: account.expire_sync()),
    "scopes": (
        bodies.ScopesBody,
        lambda account, body, _: setattr(account.grant, "scopes", set(body.scopes)),
    ),
    "licence": (
        bodies.LicenceBody,
        lambda account, body, _: setattr(account, "licensed", body.licensed),
    ),
    "new_calendar": (
        bodies.NewCalendarBody,
        lambda account, body, _: account.calendar(
            body.name, zone=body.zone, calendar_id=body.calendar_id
        ),
    ),
    "share": (
        bodies.ShareBody,
        lambda account, body, find: account.share(find(body.calendar), body.role),
    ),
    "unshare": (
        bodies.CalendarBody,
        lambda account, body, find: account.unshare(find(body.calendar)),
    ),
    "delete_calendar": (
        bodies.CalendarBody,
        lambda account, body, find: account.delete_calendar(find(body.calendar)),
    ),
}

PUSH_CONTROLS: Mapping[str, Control] = {
    "drop": (bodies.DropBody, lambda pushes, body: pushes.drop(body.count)),
    "duplicate": (bodies.DuplicateBody, lambda pushes, body: pushes.duplicate(body.copies)),
    "delay": (bodies.DelayBody, lambda pushes, body: pushes.delay(body.seconds)),
    "hold": (bodies.NoBody, lambda pushes, _: pushes.hold()),
    "release": (bodies.ReleaseBody, lambda pushes, body: pushes.release(**dict(body))),
}

_SETTINGS: Mapping[str, type[bodies.SettingsBody]] = {
    "google": bodies.GoogleSettingsBody,
    "microsoft": bodies.MicrosoftSettingsBody,
}


class Rehearsal(Protocol):
    """What the controls ask of the server."""

    clock: MovableClock
    pushes: Pushes
    google: GoogleRehearsal
    microsoft: MicrosoftRehearsal

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings that lead sitin here."""
        ...


def control_app(rehearsal: Rehearsal) -> Starlette:
    """The application below ``PATH``."""
    routes = _Routes(rehearsal)
    provider = "/{provider}"
    account = f"{provider}/accounts/{{email}}"
    calendar = f"{provider}/calendars/{{calendar_id}}"
    event = f"{calendar}/events/{{event_id}}"
    table = [
        ("GET", "/", routes.state),
        ("GET", "/page", routes.page),
        ("POST", "/clock", routes.clock),
        ("GET", "/pushes", routes.pushes),
        ("POST", "/pushes/{control}", routes.push),
        ("GET", "/wait/{what}", routes.wait),
        ("POST", "/microsoft/subscriptions/{subscription_id}/lifecycle", routes.lifecycle),
        ("GET", provider, routes.provider),
        ("POST", f"{provider}/accounts", routes.new_account),
        ("GET", account, routes.account),
        ("POST", f"{account}/{{control}}", routes.control_account),
        ("GET", f"{calendar}/events", routes.events),
        ("POST", f"{calendar}/events", routes.add),
        ("GET", event, routes.event),
        ("POST", f"{event}/{{control}}", routes.control_event),
        ("POST", f"{calendar}/{{control}}", routes.control_calendar),
        ("GET", f"{provider}/requests", routes.requests),
        ("GET", f"{provider}/faults", routes.faults),
        ("POST", f"{provider}/faults", routes.add_fault),
        ("DELETE", f"{provider}/faults", routes.clear_faults),
        ("POST", f"{provider}/settings", routes.settings),
    ]
    return Starlette(
        routes=[Route(path, endpoint, methods=[method]) for method, path, endpoint in table],
        exception_handlers=dict.fromkeys(ERRORS, routes.refused),
    )


class _Routes:
    """One method per route."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self._rehearsal = rehearsal
        self._providers: dict[str, RehearsedProvider] = {
            "google": rehearsal.google,
            "microsoft": rehearsal.microsoft,
        }

    async def state(self, _: Request) -> Response:
        clock = self._rehearsal.clock
        shown: dict[str, Any] = {
            "clock": {"now": iso(clock.now()), "standing": clock.standing},
            "environment": dict(self._rehearsal.environment),
            "pushes": pushes_state(self._rehearsal.pushes),
        }
        for name, provider in self._providers.items():
            shown[name] = provider_state(provider)
        return JSONResponse(shown)

    async def page(self, _: Request) -> Response:
        return self._page()

    async def refused(self, request: Request, error: Exception) -> Response:
        if not _from_page(request):
            return await answer_error(request, error)
        status, _, message = describe(error)
        return self._page(error=message, status=status)

    async def clock(self, request: Request) -> Response:
        body = bodies.ClockBody.model_validate(await _body(request))
        clock = self._rehearsal.clock
        clock.set((body.at or clock.now()) + body.by, standing=body.standing)
        return _done(request, {"now": iso(clock.now()), "standing": clock.standing})

    async def pushes(self, _: Request) -> Response:
        return JSONResponse(pushes_state(self._rehearsal.pushes))

    async def push(self, request: Request) -> Response:
        model, act = _control(request, PUSH_CONTROLS)
        act(self._rehearsal.pushes, model.model_validate(await _body(request)))
        return _done(request, pushes_state(self._rehearsal.pushes))

    async def wait(self, request: Request) -> Response:
        what = request.path_params["what"]
        if what != "settled":
            raise HTTPException(404, f"cannot wait for {what!r}; only for settled")
        await waited(request, what, self._rehearsal.pushes.settled)
        return JSONResponse(pushes_state(self._rehearsal.pushes))

    async def lifecycle(self, request: Request) -> Response:
        body = bodies.LifecycleBody.model_validate(await _body(request))
        subscriptions = self._rehearsal.microsoft.subscriptions
        subscriptions.lifecycle(request.path_params["subscription_id"], body.event)
        return _done(request, {"watchers": self._rehearsal.microsoft.watchers()})

    async def provider(self, request: Request) -> Response:
        return JSONResponse(provider_state(self._provider(request)))

    async def new_account(self, request: Request) -> Response:
        body = bodies.AccountBody.model_validate(await _body(request))
        made = self._provider(request).account(**dict(body))
        return _done(request, account_state(made), status=201)

    async def account(self, request: Request) -> Response:
        return JSONResponse(account_state(self._account(request)))

    async def control_account(self, request: Request) -> Response:
        account = self._account(request)
        model, act = _control(request, ACCOUNT_CONTROLS)
        body = model.model_validate(await _body(request))
        act(account, body, lambda calendar_id: self._calendar(request, calendar_id))
        return _done(request, account_state(account))

    async def control_calendar(self, request: Request) -> Response:
        calendar = self._calendar(request, request.path_params["calendar_id"])
        model, act = _control(request, CALENDAR_CONTROLS)
        act(calendar, model.model_validate(await _body(request)))
        return _done(request, {"id": calendar.id, "pushes": calendar.pushes})

    async def events(self, request: Request) -> Response:
        window = bodies.WindowQuery.model_validate(dict(request.query_params))
        calendar = self._calendar(request, request.path_params["calendar_id"])
        start = window.start or self._rehearsal.clock.now()
        end = window.end or start + _WINDOW
        if start.tzinfo is None or end.tzinfo is None:
            raise HTTPException(400, "start, end: have to have an offset, like …T09:00:00Z")
        found = calendar.occurrences(start, end, removed=window.removed)
        return JSONResponse({"events": [self._shown(request, calendar, one) for one in found]})

    async def add(self, request: Request) -> Response:
        body = bodies.AddBody.model_validate(await _body(request))
        calendar = self._calendar(request, request.path_params["calendar_id"])
        made = calendar.add(
            body.title,
            body.start,
            end=body.end,
            minutes=body.minutes,
            zone=body.zone,
            recurrence=body.recurrence,
            event_id=body.event_id,
            ical_uid=body.ical_uid,
            **body.details(),
        )
        return _done(request, self._shown(request, calendar, made), status=201)

    async def event(self, request: Request) -> Response:
        calendar, event = self._event(request)
        return JSONResponse(self._shown(request, calendar, event))

    async def control_event(self, request: Request) -> Response:
        calendar, event = self._event(request)
        model, act = _control(request, EVENT_CONTROLS)
        changed = act(calendar, event, model.model_validate(await _body(request)))
        return _done(request, self._shown(request, calendar, changed))

    async def requests(self, request: Request) -> Response:
        last = list(self._provider(request).exchanges)[-100:]
        return JSONResponse({"requests": [exchange_state(exchange) for exchange in last]})

    async def faults(self, request: Request) -> Response:
        there = self._provider(request).faults.there
        return JSONResponse({"faults": [fault_state(fault) for fault in there]})

    async def add_fault(self, request: Request) -> Response:
        body = bodies.FaultBody.model_validate(await _body(request))
        provider = self._provider(request)
        account = None if body.account is None else provider.find_account(body.account)
        if body.what == "hold":
            provider.hold(body.operation, page=body.page, account=account)
        else:
            provider.fault(
                body.what,
                body.operation,
                page=body.page,
                account=account,
                skip=body.skip,
                times=body.times,
                retry_after=body.retry_after,
                afterwards=body.afterwards,
            )
        return _done(request, fault_state(provider.faults.there[-1]), status=201)

    async def clear_faults(self, request: Request) -> Response:
        self._provider(request).faults.clear()
        return Response(status_code=204)

    async def settings(self, request: Request) -> Response:
        provider = self._provider(request)
        body = _SETTINGS[request.path_params["provider"]].model_validate(await _body(request))
        for name in body.model_fields_set:
            owner = provider.paging if hasattr(provider.paging, name) else provider
            setattr(owner, name, getattr(body, name))
        return _done(request, body.model_dump(mode="json", exclude_unset=True))

    def _page(self, *, error: str | None = None, status: int = 200) -> Response:
        clock = self._rehearsal.clock
        text = render_page(self._providers, clock, base=PATH, window=_WINDOW, error=error)
        return HTMLResponse(text, status_code=status)

    def _provider(self, request: Request) -> RehearsedProvider:
        name = request.path_params["provider"]
        if name not in self._providers:
            raise UnknownError(f"there is no provider {name!r}; there are {names(self._providers)}")
        return self._providers[name]

    def _account(self, request: Request) -> Account:
        return self._provider(request).find_account(request.path_params["email"])

    def _calendar(self, request: Request, calendar_id: str) -> Calendar:
        found = self._provider(request).calendars.get(calendar_id)
        if found is None:
            raise UnknownError(f"calendar: there is no calendar {calendar_id!r}")
        return found

    def _event(self, request: Request) -> tuple[Calendar, Event]:
        calendar = self._calendar(request, request.path_params["calendar_id"])
        event = self._provider(request).locate(calendar, request.path_params["event_id"])
        return calendar, event

    def _shown(self, request: Request, calendar: Calendar, event: Event) -> dict[str, Any]:
        return event_state(event, calendar, self._provider(request))


def _control(request: Request, table: Mapping[str, Control]) -> Control:
    name = request.path_params["control"]
    if name not in table:
        raise HTTPException(404, f"there is no control {name!r}; there are {names(dict(table))}")
    return table[name]


def _from_page(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0] == _FORM


async def _body(request: Request) -> Any:
    """A JSON object, or a form's fields without the empty ones."""
    if not _from_page(request):
        return await read_json(request)
    return dict(parse_qsl((await request.body()).decode(errors="replace")))


def _done(request: Request, value: Any, *, status: int = 200) -> Response:
    """What a program or a person gets to see when a control is done."""
    if _from_page(request):
        return RedirectResponse(f"{PATH}/page", status_code=303)
    return JSONResponse(value, status_code=status)
