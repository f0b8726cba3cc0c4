"""The controls of rehearsal meetings over HTTP, for programs in any language. For the server.

They answer at the server's own address (127.0.0.1), not at meet.google.com, so that the page and
whatever runs in it cannot reach them. ``docs/rehearsal.md`` lists them.
"""

from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sitin.contract.base import Frozen
from sitin.rehearsal.answers import ERROR_HANDLERS, names, read_json, read_number, waited
from sitin.rehearsal.errors import UnknownMeetingError
from sitin.rehearsal.lobby import Refusal
from sitin.rehearsal.meeting import Meeting
from sitin.rehearsal.script import Script, parse_script


class Holder(Protocol):
    """What the routes ask of the server."""

    @property
    def meetings(self) -> dict[str, Meeting]:
        """Every meeting, by code."""
        ...

    async def hold(self, script: Script) -> Meeting:
        """Open a meeting in the place of one with the same code."""
        ...

    async def drop(self, code: str) -> None:
        """Close a meeting and forget it."""
        ...


class NoBody(Frozen):
    """A control without arguments."""


class VisitorBody(Frozen):
    """A control for one visitor, or for all."""

    visitor: str | None = None


class RefuseBody(VisitorBody):
    """How visitors are turned away."""

    how: Refusal = "denied"


class WhoBody(Frozen):
    """A control for a participant."""

    who: str


class ChatBody(WhoBody):
    """What a participant writes."""

    text: Annotated[str, Field(min_length=1, max_length=500)]


class SayBody(WhoBody):
    """What a participant says."""

    text: Annotated[str, Field(min_length=1, max_length=5000)]
    audio: Path | None = None


CONTROLS: dict[str, type[BaseModel]] = {
    "host_arrives": NoBody,
    "admit": VisitorBody,
    "deny": VisitorBody,
    "refuse": RefuseBody,
    "remove_bot": VisitorBody,
    "end": NoBody,
    "join": WhoBody,
    "leave": WhoBody,
    "present": WhoBody,
    "stop_presenting": WhoBody,
    "mute": WhoBody,
    "unmute": WhoBody,
    "camera_on": WhoBody,
    "camera_off": WhoBody,
    "chat": ChatBody,
    "say": SayBody,
}
"""control, named as ``Meeting``'s method → the body it takes."""

WAITS: dict[str, Callable[[Meeting], Awaitable[object]]] = {
    "asked": Meeting.asked,
    "joined": Meeting.joined,
    "left": Meeting.left,
    "ended": Meeting.ended,
    "played": Meeting.played,
    "pictures_ready": Meeting.pictures_ready,
}
"""What a request can wait for."""


def control_app(holder: Holder) -> Starlette:
    """The application below ``/_rehearsal``."""
    routes = _Routes(holder)
    base = "/meetings/{code}"
    return Starlette(
        routes=[
            Route("/meetings", routes.index),
            Route(base, routes.show),
            Route(base, routes.hold, methods=["PUT"]),
            Route(base, routes.drop, methods=["DELETE"]),
            Route(f"{base}/truth", routes.truth),
            Route(f"{base}/wait/{{what}}", routes.wait),
            Route(f"{base}/{{control}}", routes.control, methods=["POST"]),
        ],
        exception_handlers=ERROR_HANDLERS,
    )


class _Routes:
    """One method per route."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder

    async def index(self, _: Request) -> Response:
        meetings = self._holder.meetings.values()
        return JSONResponse({"meetings": [m.state.model_dump(mode="json") for m in meetings]})

    async def hold(self, request: Request) -> Response:
        data = await read_json(request)
        if not isinstance(data, dict):
            raise HTTPException(400, "the body has to be a script: a JSON object")
        script = parse_script({**data, "code": request.path_params["code"]}, base=Path.cwd())
        return _state(await self._holder.hold(script), status=201)

    async def show(self, request: Request) -> Response:
        return _state(self._meeting(request))

    async def drop(self, request: Request) -> Response:
        await self._holder.drop(self._meeting(request).script.code)
        return Response(status_code=204)

    async def truth(self, request: Request) -> Response:
        return JSONResponse(self._meeting(request).truth.model_dump(mode="json"))

    async def control(self, request: Request) -> Response:
        meeting = self._meeting(request)
        name = request.path_params["control"]
        if name not in CONTROLS:
            raise HTTPException(404, f"there is no control {name!r}; there are {names(CONTROLS)}")
        body = CONTROLS[name].model_validate(await read_json(request))
        arguments = {field: getattr(body, field) for field in type(body).model_fields}
        done = getattr(meeting, name)(**arguments)
        if isinstance(done, Coroutine):
            await done
        return _state(meeting)

    async def wait(self, request: Request) -> Response:
        meeting = self._meeting(request)
        what = request.path_params["what"]
        if what == "reached":
            seconds = read_number(request, "seconds")
            await waited(request, what, lambda: meeting.reached(seconds))
        elif what in WAITS:
            await waited(request, what, lambda: WAITS[what](meeting))
        else:
            raise HTTPException(404, f"cannot wait for {what!r}; only for reached, {names(WAITS)}")
        return _state(meeting)

    def _meeting(self, request: Request) -> Meeting:
        code = request.path_params["code"]
        meeting = self._holder.meetings.get(code)
        if meeting is None:
            raise UnknownMeetingError(f"no meeting is held under the code {code!r}")
        return meeting


def _state(meeting: Meeting, *, status: int = 200) -> Response:
    return JSONResponse(meeting.state.model_dump(mode="json"), status_code=status)
