"""What the hosts meet.google.com and accounts.google.com answer in a rehearsal. For the server."""

from collections.abc import Callable
from importlib.resources import files

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from sitin.rehearsal.meet.texts import SCREENS
from sitin.rehearsal.meeting import Meeting
from sitin.rehearsal.script import Entrance

MEET_HOST = "meet.google.com"
ACCOUNTS_HOST = "accounts.google.com"

SYNC_PATH = "/$rpc/google.rtc.meetings.v1.MeetingSpaceService/SyncMeetingSpaceCollections"

_PAGE = files("sitin.rehearsal.meet") / "page"

# Meet is strict about what its page may load and how scripts touch the document; a bot's page
# script has to get along with that here as well.
_POLICY = (
    "default-src 'self'; connect-src 'self' wss:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; require-trusted-types-for 'script'"
)

Lookup = Callable[[str], Meeting | None]


def meet_routes(meeting_of: Lookup) -> list[Host]:
    """Routes of Meet's own host and of the sign-in page; ``meeting_of`` finds a code's meeting."""

    async def page(request: Request) -> Response:
        meeting = meeting_of(request.path_params["code"])
        if meeting is not None and meeting.script.entrance is Entrance.SIGN_IN_REDIRECT:
            return RedirectResponse(f"https://{ACCOUNTS_HOST}/v3/signin/identifier")
        html = (_PAGE / "index.html").read_text()
        return HTMLResponse(html, headers={"content-security-policy": _POLICY})

    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        meeting = meeting_of(socket.path_params["code"])
        if meeting is not None:
            await meeting.receive_visitor(socket)
            return
        texts = SCREENS["not_found"]
        await socket.send_json({"type": "screen", "screen": "not_found", "texts": texts})
        await socket.close()

    async def sync(request: Request) -> Response:
        reply = None
        meeting = meeting_of(_code_of(request.headers.get("referer", "")))
        if meeting is not None:
            reply = meeting.sync_reply(request.headers.get("x-visitor", ""))
        if reply is None:
            return Response(status_code=403)
        return Response(reply, media_type="application/x-protobuf")

    async def empty(_: Request) -> Response:
        return HTMLResponse("<!doctype html><title>reCAPTCHA</title><p>Are you a robot?</p>")

    async def sign_in(_: Request) -> Response:
        heading = SCREENS["sign_in"][0]
        return HTMLResponse(f"<!doctype html><title>Sign in</title><h1>{heading}</h1>")

    meet = Starlette(
        routes=[
            Route(SYNC_PATH, sync, methods=["POST"]),
            Route("/recaptcha/enterprise/{rest:path}", empty),
            WebSocketRoute("/_page/socket/{code}", socket),
            Mount("/_page", StaticFiles(directory=str(_PAGE))),
            Route("/{code}", page),
        ]
    )
    accounts = Router(routes=[Route("/{rest:path}", sign_in)])
    return [Host(MEET_HOST, meet), Host(ACCOUNTS_HOST, accounts)]


def _code_of(address: str) -> str:
    return address.removeprefix(f"https://{MEET_HOST}/").partition("?")[0]
