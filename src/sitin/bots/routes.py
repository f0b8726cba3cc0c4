"""The operations under ``/v2/bots`` on bots that go at once. Included by api."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Request

from sitin.accounts.routing import CallerOfRequest, KeyedRoute, SessionOfRequest
from sitin.bots import schemas
from sitin.bots.creation import BotCreation
from sitin.bots.deletion import Deletion
from sitin.bots.listing import TextParts
from sitin.bots.models import Bot
from sitin.bots.reports import Reports
from sitin.bots.requests import CallbackConfig, CreateBotRequestBody, batch_of
from sitin.bots.routing import (
    WINDOW,
    BotId,
    BotIdPart,
    BotNamePart,
    CursorText,
    PageSize,
    PlatformAlias,
    Platforms,
    UrlPart,
    bad_cursor,
    check_within,
    choices,
    conditions,
    errors,
    read_cursor,
)
from sitin.bots.service import Bots
from sitin.bots.store import BotFilter
from sitin.contract.codes import BotStatus, Platform
from sitin.kit.paging import CursorError
from sitin.kit.wire import OptionalQuery, OptionalTime

router = APIRouter(prefix="/v2/bots", tags=["Bots"], route_class=KeyedRoute)


async def _bots(request: Request) -> Bots:
    bots: Bots = request.app.state.bots
    return bots


async def _creation(request: Request) -> BotCreation:
    creation: BotCreation = request.app.state.bot_creation
    return creation


async def _deletion(request: Request) -> Deletion:
    deletion: Deletion = request.app.state.bot_deletion
    return deletion


async def _reports(request: Request) -> Reports:
    reports: Reports = request.app.state.bot_reports
    return reports


BotsOfApp = Annotated[Bots, Depends(_bots)]
CreationOfApp = Annotated[BotCreation, Depends(_creation)]
DeletionOfApp = Annotated[Deletion, Depends(_deletion)]
ReportsOfApp = Annotated[Reports, Depends(_reports)]


@router.post(
    "",
    operation_id="createBot",
    summary="Send a bot to a meeting",
    status_code=201,
    response_model=schemas.CreateBotResponse,
    responses=errors(402, 409, 429),
)
async def create_bot(
    body: CreateBotRequestBody,
    creation: CreationOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
) -> schemas.CreateBotResponse:
    """Queue a bot that joins the meeting at once, or as soon as a worker has room for it."""
    bot_id = await creation.create(session, caller, body)
    return schemas.CreateBotResponse(success=True, data=schemas.BotCreated(bot_id=bot_id))


@router.post(
    "/batch",
    operation_id="batchCreateBots",
    summary="Send bots to meetings",
    status_code=201,
    response_model=schemas.BatchCreateBotResponse,
    responses=errors(writes=True),
)
async def batch_create_bots(
    body: batch_of("CreateBotRequestBody"),  # type: ignore[valid-type]
    creation: CreationOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
) -> schemas.BatchCreateBotResponse:
    """Queue every bot of the list that may be, in order; the others are told with a reason each."""
    made, failed = await creation.create_batch(session, caller, body)
    return schemas.BatchCreateBotResponse(success=True, data=made, errors=failed)


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
    bot_name: BotNamePart = None,
    bot_id: BotIdPart = None,
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
    meeting_url: UrlPart = None,
    meeting_platform: Platforms = None,
    platform: PlatformAlias = None,
    status: Annotated[OptionalQuery, Query(description="Statuses, several with commas.")] = None,
) -> schemas.ListBotsResponse:
    """The team's bots of the last 90 days, newest first."""
    now = request.app.state.clock.now()
    oldest = now - WINDOW
    check_within("created_before", created_before, now=now, ahead=timedelta(0))
    check_within("created_after", created_after, now=now, ahead=timedelta(0))
    check_within("ended_after", ended_after, now=now)
    which = BotFilter(
        created_after=max(created_after or oldest, oldest),
        created_before=created_before,
        ended_after=ended_after,
        parts=TextParts(bot_name, bot_id, meeting_url),
        statuses=choices("status", _in_full(status), BotStatus),
        platforms=choices("meeting_platform", meeting_platform or platform, Platform),
        extra=conditions(extra),
    )
    try:
        page = await bots.page(session, caller, which, limit=limit, cursor=read_cursor(cursor))
    except CursorError:
        raise bad_cursor() from None
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
        page = await bots.screenshots(
            session, caller, bot_id, limit=limit, cursor=read_cursor(cursor)
        )
    except CursorError:
        raise bad_cursor() from None
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
    responses=errors(404, 409, writes=True),
)
async def leave_bot(
    bot_id: BotId, bots: BotsOfApp, session: SessionOfRequest, caller: CallerOfRequest
) -> schemas.LeaveBotResponse:
    """Ask the bot to leave; what it recorded is kept."""
    message = await bots.leave(session, caller, bot_id)
    return schemas.LeaveBotResponse(success=True, data=schemas.Done(message=message))


@router.delete(
    "/{bot_id}/delete-data",
    operation_id="deleteBotData",
    summary="Delete what a bot recorded",
    response_model=schemas.DeleteBotDataResponse,
    responses=errors(404, writes=True),
)
async def delete_bot_data(
    bot_id: BotId,
    deletion: DeletionOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
    delete_from_provider: Annotated[
        bool,
        Query(
            json_schema_extra={"x-required": True},
            description="Whether the transcription provider is to delete its copy too.",
        ),
    ] = True,
    delete_transcription: Annotated[bool | None, Query(include_in_schema=False)] = None,
) -> schemas.DeleteBotDataResponse:
    """Delete recording, transcript, screenshots and who was there, for good and in any status.

    The bot itself and its history stay. What a bot that is in its call goes on to record is deleted
    when it ends.
    """
    at_provider = delete_from_provider if delete_transcription is None else delete_transcription
    await deletion.delete_data(session, caller, bot_id, at_provider=at_provider)
    done = schemas.Done(message="The bot's data is deleted.")
    return schemas.DeleteBotDataResponse(success=True, data=done)


@router.post(
    "/{bot_id}/resend-webhook",
    operation_id="resendFinalWebhook",
    summary="Report a bot's end again",
    response_model=schemas.ResendFinalWebhookResponse,
    responses=errors(404, 409, writes=True),
)
async def resend_final_webhook(
    bot_id: BotId, reports: ReportsOfApp, session: SessionOfRequest, caller: CallerOfRequest
) -> schemas.ResendFinalWebhookResponse:
    """Send bot.completed or bot.failed to your webhooks once more, as a new message."""
    await reports.resend(session, caller, bot_id)
    done = schemas.Done(message="The final webhook is being sent again.")
    return schemas.ResendFinalWebhookResponse(success=True, data=done)


@router.post(
    "/{bot_id}/retry-callback",
    operation_id="retryCallback",
    summary="Call back about a bot's end again",
    response_model=schemas.RetryCallbackResponse,
    responses=errors(404, 409, writes=True),
)
async def retry_callback(
    bot_id: BotId,
    reports: ReportsOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
    body: Annotated[CallbackConfig | None, Body()] = None,
) -> schemas.RetryCallbackResponse:
    """Call the bot's callback once more, or the one in the body instead."""
    await reports.retry_callback(session, caller, bot_id, body)
    done = schemas.Done(message="The callback is being sent again.")
    return schemas.RetryCallbackResponse(success=True, data=done)


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


_SHORT = {
    "joining": BotStatus.JOINING_CALL,
    "in_call": f"{BotStatus.IN_CALL_NOT_RECORDING},{BotStatus.IN_CALL_RECORDING}",
}
"""What the public API's guides call statuses for short."""


def _in_full(statuses: str | None) -> str:
    """A comma list with the short names of statuses spelled out."""
    names = (name.strip() for name in (statuses or "").split(","))
    return ",".join(_SHORT.get(name, name) for name in names)
