"""The operations under ``/v2/bots/scheduled``. Included by api, before those under ``/v2/bots``."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from sitin.accounts.routing import CallerOfRequest, KeyedRoute, SessionOfRequest
from sitin.bots.listing import TextParts
from sitin.bots.requests import batch_of
from sitin.bots.routing import (
    WINDOW,
    BotId,
    BotIdPart,
    BotNamePart,
    CursorText,
    PlatformAlias,
    Platforms,
    UrlPart,
    bad_cursor,
    check_within,
    choices,
    errors,
    read_cursor,
)
from sitin.bots.scheduled import schemas
from sitin.bots.scheduled.models import ScheduledBot, ScheduleStatus
from sitin.bots.scheduled.requests import (
    CreateScheduledBotRequestBody,
    UpdateScheduledBotRequestBody,
)
from sitin.bots.scheduled.service import ScheduledBots
from sitin.bots.scheduled.store import ScheduleFilter
from sitin.bots.schemas import Done
from sitin.contract.codes import Platform
from sitin.kit.paging import CursorError
from sitin.kit.wire import OptionalQuery, OptionalTime

router = APIRouter(prefix="/v2/bots/scheduled", tags=["Bots"], route_class=KeyedRoute)


async def _scheduled(request: Request) -> ScheduledBots:
    scheduled: ScheduledBots = request.app.state.scheduled_bots
    return scheduled


ScheduledOfApp = Annotated[ScheduledBots, Depends(_scheduled)]


@router.post(
    "",
    operation_id="createScheduledBot",
    summary="Send a bot to a meeting later",
    status_code=201,
    response_model=schemas.CreateScheduledBotResponse,
    responses=errors(writes=True),
)
async def create_scheduled_bot(
    body: CreateScheduledBotRequestBody,
    scheduled: ScheduledOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
) -> schemas.CreateScheduledBotResponse:
    """Keep a bot until its time; tokens, cap and other bots are looked at then."""
    bot_id = await scheduled.create(session, caller, body)
    made = schemas.ScheduledBotCreated(bot_id=bot_id)
    return schemas.CreateScheduledBotResponse(success=True, data=made)


@router.post(
    "/batch",
    operation_id="batchCreateScheduledBots",
    summary="Send bots to meetings later",
    status_code=201,
    response_model=schemas.BatchCreateScheduledBotResponse,
    responses=errors(writes=True),
)
async def batch_create_scheduled_bots(
    body: batch_of("CreateScheduledBotRequestBody"),  # type: ignore[valid-type]
    scheduled: ScheduledOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
) -> schemas.BatchCreateScheduledBotResponse:
    """Keep every bot of the list that may be, in order; the others are told with a reason each."""
    made, failed = await scheduled.create_batch(session, caller, body)
    return schemas.BatchCreateScheduledBotResponse(success=True, data=made, errors=failed)


@router.get(
    "",
    operation_id="listScheduledBots",
    summary="List scheduled bots",
    response_model=schemas.ListScheduledBotsResponse,
    responses=errors(),
)
async def list_scheduled_bots(
    scheduled: ScheduledOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
    request: Request,
    limit: Annotated[
        int,
        Query(gt=0, le=100, json_schema_extra={"x-required": True}, description="Items per page."),
    ] = 50,
    cursor: CursorText = None,
    bot_id: BotIdPart = None,
    scheduled_before: Annotated[
        OptionalTime, Query(description="At most 90 days back or ahead.")
    ] = None,
    scheduled_after: Annotated[
        OptionalTime, Query(description="At most 90 days back or ahead.")
    ] = None,
    status: Annotated[OptionalQuery, Query(description="Statuses, several with commas.")] = None,
    bot_name: BotNamePart = None,
    meeting_url: UrlPart = None,
    meeting_platform: Platforms = None,
    platform: PlatformAlias = None,
) -> schemas.ListScheduledBotsResponse:
    """The team's scheduled bots, whatever became of them, by the time they join."""
    now = request.app.state.clock.now()
    for field, moment in (
        ("scheduled_before", scheduled_before),
        ("scheduled_after", scheduled_after),
    ):
        check_within(field, moment, now=now, ahead=WINDOW)
    which = ScheduleFilter(
        join_after=scheduled_after,
        join_before=scheduled_before,
        parts=TextParts(bot_name, bot_id, meeting_url),
        statuses=choices("status", status, ScheduleStatus),
        platforms=choices("meeting_platform", meeting_platform or platform, Platform),
    )
    try:
        page = await scheduled.page(session, caller, which, limit=limit, cursor=read_cursor(cursor))
    except CursorError:
        raise bad_cursor() from None
    return schemas.ListScheduledBotsResponse(
        success=True,
        data=[_item(bot) for bot in page.rows],
        cursor=page.cursor,
        prev_cursor=page.prev_cursor,
    )


@router.get(
    "/{bot_id}",
    operation_id="getScheduledBotDetails",
    summary="Show a scheduled bot",
    response_model=schemas.GetScheduledBotResponse,
    responses=errors(404),
)
async def get_scheduled_bot_details(
    bot_id: BotId, scheduled: ScheduledOfApp, session: SessionOfRequest, caller: CallerOfRequest
) -> schemas.GetScheduledBotResponse:
    """What it is like, when it joins, and what became of it."""
    details = await scheduled.details(session, caller, bot_id)
    return schemas.GetScheduledBotResponse(success=True, data=details)


@router.patch(
    "/{bot_id}",
    operation_id="updateScheduledBot",
    summary="Change a scheduled bot",
    response_model=schemas.UpdateScheduledBotResponse,
    responses=errors(404, 409, writes=True),
)
async def update_scheduled_bot(
    bot_id: BotId,
    body: UpdateScheduledBotRequestBody,
    scheduled: ScheduledOfApp,
    session: SessionOfRequest,
    caller: CallerOfRequest,
) -> schemas.UpdateScheduledBotResponse:
    """Change what is given, as long as it joins in four minutes or later."""
    await scheduled.update(session, caller, bot_id, body)
    done = Done(message="The scheduled bot is changed.")
    return schemas.UpdateScheduledBotResponse(success=True, data=done)


@router.delete(
    "/{bot_id}",
    operation_id="deleteScheduledBot",
    summary="Cancel a scheduled bot",
    response_model=schemas.DeleteScheduledBotResponse,
    responses=errors(404, 409, writes=True),
)
async def delete_scheduled_bot(
    bot_id: BotId, scheduled: ScheduledOfApp, session: SessionOfRequest, caller: CallerOfRequest
) -> schemas.DeleteScheduledBotResponse:
    """Cancel it for good, as long as it joins in four minutes or later."""
    await scheduled.cancel(session, caller, bot_id)
    done = Done(message="The scheduled bot is cancelled.")
    return schemas.DeleteScheduledBotResponse(success=True, data=done)


def _item(bot: ScheduledBot) -> schemas.ScheduledBotListItem:
    return schemas.ScheduledBotListItem(
        bot_id=bot.id,
        bot_name=bot.bot_name,
        meeting_url=bot.meeting_url,
        meeting_platform=Platform(bot.platform),
        join_at=bot.join_at,
        status=ScheduleStatus(bot.status),
        created_at=bot.created_at,
        updated_at=bot.updated_at,
    )
