"""The operations under ``/v2/bots``. Included by api."""

from datetime import timedelta
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request

from sitin.accounts.routing import CallerOfRequest, KeyedRoute, SessionOfRequest
from sitin.bots import schemas
from sitin.bots.errors import InvalidRequestError
from sitin.bots.models import Bot
from sitin.bots.requests import CreateBotRequestBody
from sitin.bots.service import LIST_WINDOW, Bots
from sitin.bots.store import BotFilter
from sitin.contract.codes import BotStatus, Platform
from sitin.kit.paging import Cursor, CursorError
from sitin.kit.wire import (
    ErrorResponse,
    Id,
    OptionalQuery,
    OptionalTime,
    ValidationErrorResponse,
)

E = TypeVar("E", Platform, BotStatus)

router = APIRouter(prefix="/v2/bots", tags=["Bots"], route_class=KeyedRoute)

_DOCUMENTED: dict[int, str] = {
    400: "A field is missing or wrong; the message names it.",
    401: "The API key is missing or unknown.",
    402: "Fewer tokens are left than this takes.",
    403: "The API key does not allow this.",
    404: "Your team has no bot with this id.",
    409: "The bot's status does not allow this.",
    429: "Too many requests, or too many bots within a day.",
    500: "Something went wrong inside the service.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a document says about an operation's errors."""
    return {
        status: {
            "model": ValidationErrorResponse if status == 400 else ErrorResponse,
            "description": _DOCUMENTED[status],
        }
        for status in sorted({*statuses, 400, 401, 403, 500})
    }


def _bots(request: Request) -> Bots:
    bots: Bots = request.app.state.bots
    return bots


BotsOfApp = Annotated[Bots, Depends(_bots)]
BotId = Annotated[Id, Path(description="The bot's id.")]
PageSize = Annotated[
    int, Query(gt=0, le=250, json_schema_extra={"x-required": True}, description="Items per page.")
]
CursorText = Annotated[
    OptionalQuery,
    Query(description="`cursor` or `prev_cursor` of another page; a `-` before it reads backwards"),
]


@router.post(
    "",
    operation_id="createBot",
    summary="Send a bot to a meeting",
    status_code=201,
    response_model=schemas.CreateBotResponse,
    responses=errors(402, 409, 429),
)
async def create_bot(
    body: CreateBotRequestBody, bots: BotsOfApp, session: SessionOfRequest, caller: CallerOfRequest
) -> schemas.CreateBotResponse:
    """Queue a bot that joins the meeting at once, or as soon as a worker has room for it."""
    bot_id = await bots.create(session, caller, body)
    return schemas.CreateBotResponse(success=True, data=schemas.BotCreated(bot_id=bot_id))


@router.get(
    "",
    operation_id="listBots",
    summary="List bots",
    response_model=schemas.ListBotsResponse,
    responses=errors(),
)
async def list_bots(
    bots: BotsOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
    request: Request,
    bot_name: Annotated[
        OptionalQuery, Query(description="Part of the name; case is ignored.")
    ] = None,
    bot_id: Annotated[OptionalQuery, Query(description="Part of the id; case is ignored.")] = None,
    created_before: Annotated[
        OptionalTime, Query(description="Not in the future, at most 90 days back.")
    ] = None,
    created_after: Annotated[
        OptionalTime, Query(description="Not in the future, at most 90 days back.")
    ] = None,
    limit: PageSize = 50,
    cursor: CursorText = None,
    ended_after: Annotated[OptionalTime, Query(description="At most 90 days back.")] = None,
    extra: Annotated[
        OptionalQuery,
        Query(description="`field:value`, several with commas; all must be in `extra` exactly."),
    ] = None,
    meeting_url: Annotated[
        OptionalQuery, Query(description="Part of the address; case is ignored.")
    ] = None,
    meeting_platform: Annotated[
        OptionalQuery, Query(description="zoom, meet or teams; several with commas.")
    ] = None,
    platform: Annotated[OptionalQuery, Query(include_in_schema=False)] = None,
    status: Annotated[OptionalQuery, Query(description="Statuses, several with commas.")] = None,
) -> schemas.ListBotsResponse:
    """The team's bots of the last 90 days, newest first."""
    now = request.app.state.clock.now()
    oldest = now - LIST_WINDOW
    for field, moment in (
        ("created_before", created_before),
        ("created_after", created_after),
        ("ended_after", ended_after),
    ):
        # A client that counts ninety days back itself may be a few seconds behind us.
        if moment is not None and moment < oldest - timedelta(minutes=1):
            raise InvalidRequestError(field, "must be within the last 90 days.")
        if moment is not None and moment > now and field != "ended_after":
            raise InvalidRequestError(field, "must not be in the future.")
    which = BotFilter(
        created_after=max(created_after or oldest, oldest),
        created_before=created_before,
        ended_after=ended_after,
        name_part=bot_name,
        id_part=bot_id,
        url_part=meeting_url,
        statuses=_choices("status", status, BotStatus),
        platforms=_choices("meeting_platform", meeting_platform or platform, Platform),
        extra=_conditions(extra),
    )
    try:
        page = await bots.page(session, caller, which, limit=limit, cursor=_cursor(cursor))
    except CursorError:
        raise _bad_cursor() from None
    return schemas.ListBotsResponse(
        success=True,
        data=[_item(bot) for bot in page.rows],
        cursor=page.cursor,
        prev_cursor=page.prev_cursor,
    )


@router.get(
    "/{bot_id}",
    operation_id="getBotDetails",
    summary="Show a bot",
    response_model=schemas.GetBotDetailsResponse,
    responses=errors(404),
)
async def get_bot_details(
    bot_id: BotId, bots: BotsOfApp, session: SessionOfRequest, caller: CallerOfRequest
) -> schemas.GetBotDetailsResponse:
    """All about a bot, with links to what it recorded that work for four hours."""
    details = await bots.details(session, caller, bot_id)
    return schemas.GetBotDetailsResponse(success=True, data=details)


@router.get(
    "/{bot_id}/status",
    operation_id="getBotStatus",
    summary="Show how far a bot is",
    response_model=schemas.GetBotStatusResponse,
    responses=errors(404),
)
async def get_bot_status(
    bot_id: BotId, bots: BotsOfApp, session: SessionOfRequest, caller: CallerOfRequest
) -> schemas.GetBotStatusResponse:
    """The bot's status, its transcript's, and since when."""
    status = await bots.status(session, caller, bot_id)
    return schemas.GetBotStatusResponse(success=True, data=status)


@router.get(
    "/{bot_id}/screenshots",
    operation_id="getBotScreenshots",
    summary="List a bot's screenshots",
    response_model=schemas.GetBotScreenshotsResponse,
    responses=errors(404),
)
async def get_bot_screenshots(
    bot_id: BotId,
    bots: BotsOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
    limit: PageSize = 50,
    cursor: CursorText = None,
) -> schemas.GetBotScreenshotsResponse:
    """Screenshots of the recording, first one first; none for ``audio_only``."""
    try:
        page = await bots.screenshots(session, caller, bot_id, limit=limit, cursor=_cursor(cursor))
    except CursorError:
        raise _bad_cursor() from None
    return schemas.GetBotScreenshotsResponse(
        success=True,
        data=[schemas.ScreenshotItem(screenshot_id=one.number, url=one.url) for one in page.rows],
        cursor=page.cursor,
        prev_cursor=page.prev_cursor,
    )


@router.post(
    "/{bot_id}/leave",
    operation_id="leaveBot",
    summary="Have a bot leave",
    response_model=schemas.LeaveBotResponse,
    responses=errors(404, 409),
)
async def leave_bot(
    bot_id: BotId, bots: BotsOfApp, session: SessionOfRequest, caller: CallerOfRequest
) -> schemas.LeaveBotResponse:
    """Ask the bot to leave; what it recorded is kept."""
    message = await bots.leave(session, caller, bot_id)
    return schemas.LeaveBotResponse(success=True, data=schemas.LeaveResult(message=message))


def _item(bot: Bot) -> schemas.BotListItem:
    return schemas.BotListItem(
        bot_id=bot.id,
        bot_name=bot.bot_name,
        meeting_url=bot.meeting_url,
        meeting_platform=Platform(bot.platform),
        extra=bot.extra,
        duration=bot.duration,
        created_at=bot.created_at,
        ended_at=bot.ended_at,
        joined_at=bot.joined_at,
        exited_at=bot.exited_at,
        status=BotStatus(bot.status),
        error_code=bot.error_code,
        error_message=bot.error_message,
    )


def _choices(field: str, text: str | None, known: type[E]) -> tuple[E, ...]:
    """The members a comma list names. Raises ``InvalidRequestError``."""
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    for name in names:
        if name not in set(known):
            raise InvalidRequestError(
                field, f"{name!r} is none of {', '.join(known)} (several go with commas)."
            )
    return tuple(known(name) for name in names)


def _conditions(text: str | None) -> tuple[tuple[str, str], ...]:
    """Read ``field:value,field2:value2``. Raises ``InvalidRequestError``."""
    conditions = []
    for part in (text or "").split(",") if text else ():
        field, separator, value = part.partition(":")
        if not separator or not field.strip():
            raise InvalidRequestError(
                "extra", "must be like field:value or field:value,other:value."
            )
        conditions.append((field.strip(), value.strip()))
    return tuple(conditions)


def _cursor(text: str | None) -> Cursor | None:
    return Cursor.decode(text) if text else None


def _bad_cursor() -> InvalidRequestError:
    return InvalidRequestError(
        "cursor", "must be the cursor or prev_cursor of another page of this list."
    )
