"""Microsoft's own client against the rehearsal; run by ``make test-graph``.

What it does not know of an answer it keeps as ``additional_data``, so that a field of our own
invention is found.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sitin.contract.calendars import ResponseStatus
from sitin.rehearsal.calendars import Account, CalendarRehearsal, Person
from tests.rehearsal.calendars.asking import WINDOW, GraphClient
from tests.rehearsal.calendars.conftest import NOW
from tests.serving import serving

pytest.importorskip(
    "msgraph",
    reason="Microsoft's client takes 392 MB and is not installed; `make test-graph` runs these",
)

from kiota_abstractions.authentication import (
    AccessTokenProvider,
    AllowedHostsValidator,
    BaseBearerTokenAuthenticationProvider,
)
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
from msgraph.generated.models.event import Event
from msgraph.generated.models.event_type import EventType
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.patterned_recurrence import PatternedRecurrence
from msgraph.generated.models.recurrence_pattern import RecurrencePattern
from msgraph.generated.models.recurrence_pattern_type import RecurrencePatternType
from msgraph.generated.models.recurrence_range import RecurrenceRange
from msgraph.generated.models.recurrence_range_type import RecurrenceRangeType
from msgraph.generated.models.subscription import Subscription
from msgraph.generated.users.item.calendars.item.calendar_view.calendar_view_request_builder import (  # noqa: E501
    CalendarViewRequestBuilder,
)
from msgraph.generated.users.item.calendars.item.calendar_view.delta.delta_request_builder import (
    DeltaRequestBuilder,
)

_ANNOTATIONS = ("@odata.context", "@odata.etag")


class _Token(AccessTokenProvider):  # type: ignore[misc]
    def __init__(self, client: GraphClient) -> None:
        self._client = client

    async def get_authorization_token(self, uri: str, *_: Any, **__: Any) -> str:
        token: str = (await self._client.token()).json()["access_token"]
        return token

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return AllowedHostsValidator([])


@pytest.fixture
async def sdk(cal: CalendarRehearsal, graph: GraphClient) -> GraphServiceClient:
    adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(_Token(graph)))
    adapter.base_url = f"{cal.microsoft.graph_url}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


def unknown(model: Any, path: str = "") -> Iterator[str]:
    """Everything in an answer that the client has no name for."""
    if isinstance(model, list):
        for one in model:
            yield from unknown(one, path)
    if not is_dataclass(model):
        return
    for name in getattr(model, "additional_data", {}):
        if name not in _ANNOTATIONS:
            yield f"{path}.{name}"
    for field in fields(model):
        if field.name not in ("additional_data", "backing_store"):
            yield from unknown(getattr(model, field.name), f"{path}.{field.name}")


def asking(query: Any, *preferences: str) -> Any:
    configuration = RequestConfiguration(query_parameters=query)
    for preference in preferences:
        configuration.headers.add("Prefer", preference)
    return configuration


def delta_query() -> Any:
    return DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(
        start_date_time=WINDOW["startDateTime"], end_date_time=WINDOW["endDateTime"]
    )


async def test_it_reads_profile_and_calendars(mia: Account, sdk: GraphServiceClient) -> None:
    mia.calendar("Team")
    profile = await sdk.me.get()
    assert profile.user_principal_name == "mia@contoso.com"
    calendars = await sdk.me.calendars.get()
    assert [(one.name, one.is_default_calendar) for one in calendars.value] == [
        ("Calendar", True),
        ("Team", False),
    ]
    assert calendars.value[0].owner.address == "mia@contoso.com"
    one = await sdk.me.calendars.by_calendar_id(mia.primary.id).get()
    assert [*unknown(profile), *unknown(calendars), *unknown(one)] == []


async def test_it_knows_every_field_of_every_kind_of_event(
    mia: Account, sdk: GraphServiceClient
) -> None:
    mia.primary.add(
        "Review",
        "2027-03-22T10:00",
        description="<b>all</b>",
        location="https://zoom.us/j/1",
        organizer=Person("ben@contoso.com", "Ben"),
        attendees=[Person("mia@contoso.com", response=ResponseStatus.TENTATIVE)],
        meeting_url="https://teams.microsoft.com/l/meetup-join/x/0",
    )
    mia.primary.add("Off", "2027-03-25")
    series = mia.primary.add("Standup", "2027-03-22T12:00", recurrence="FREQ=WEEKLY;COUNT=3")
    mia.primary.edit(series, on="2027-03-29", title="Special")
    query = CalendarViewRequestBuilder.CalendarViewRequestBuilderGetQueryParameters(
        start_date_time=WINDOW["startDateTime"], end_date_time=WINDOW["endDateTime"], top=50
    )
    calendar = sdk.me.calendars.by_calendar_id(mia.primary.id)
    found = (await calendar.calendar_view.get(request_configuration=asking(query))).value
    assert [one.type for one in found] == [
        EventType.SingleInstance,
        EventType.SingleInstance,
        EventType.Occurrence,
        EventType.Occurrence,
        EventType.Exception,
    ]
    review, off, first, *_ = found
    assert review.online_meeting.join_url == "https://teams.microsoft.com/l/meetup-join/x/0"
    assert review.response_status.response.value == "tentativelyAccepted"
    assert off.is_all_day
    assert first.original_start == datetime(2027, 3, 22, 11, tzinfo=UTC)
    master = await sdk.me.events.by_event_id(first.series_master_id).get()
    assert master.recurrence.range.number_of_occurrences == 3
    assert [*unknown(found), *unknown(master)] == []


async def test_it_follows_delta_links_through_pages_changes_and_their_end(
    cal: CalendarRehearsal, mia: Account, sdk: GraphServiceClient
) -> None:
    cal.microsoft.paging.sizes = (0, 1)
    series = mia.primary.add("Standup", "2027-03-22T10:00", recurrence="FREQ=DAILY;COUNT=4")
    delta = sdk.me.calendars.by_calendar_id(mia.primary.id).calendar_view.delta
    configuration = asking(delta_query(), "odata.maxpagesize=2", 'IdType="ImmutableId"')
    page = await delta.get(request_configuration=configuration)
    sizes, told = [len(page.value)], list(page.value)
    while page.odata_next_link is not None:
        page = await delta.with_url(page.odata_next_link).get()
        sizes.append(len(page.value))
        told += page.value
    assert sizes[:2] == [0, 1]
    assert [one.subject for one in told] == [None, None, None, None, "Standup"]
    cal.microsoft.paging.sizes = ()
    link = page.odata_delta_link
    mia.primary.delete(series)
    page = await delta.with_url(link).get()
    assert {str(one.additional_data) for one in page.value} == {
        "{'@removed': {'reason': 'deleted'}}"
    }
    mia.primary.expire_sync()
    with pytest.raises(ODataError) as raised:
        await delta.with_url(page.odata_delta_link).get()
    assert raised.value.response_status_code == 410
    assert raised.value.error.code == "SyncStateNotFound"


async def test_it_writes_events(mia: Account, sdk: GraphServiceClient) -> None:
    body = Event(
        subject="Standup",
        start=DateTimeTimeZone(date_time="2027-03-22T10:00:00", time_zone="Romance Standard Time"),
        end=DateTimeTimeZone(date_time="2027-03-22T10:15:00", time_zone="Romance Standard Time"),
        is_online_meeting=True,
        recurrence=PatternedRecurrence(
            pattern=RecurrencePattern(type=RecurrencePatternType.Daily, interval=1),
            range=RecurrenceRange(
                type=RecurrenceRangeType.EndDate,
                start_date=date(2027, 3, 22),
                end_date=date(2027, 3, 24),
            ),
        ),
    )
    calendar = sdk.me.calendars.by_calendar_id(mia.primary.id)
    made = await calendar.events.post(body)
    assert made.type is EventType.SeriesMaster
    assert made.online_meeting.join_url.startswith("https://teams.microsoft.com/")
    assert len(mia.primary.occurrences(NOW, NOW + timedelta(days=30))) == 3
    event = sdk.me.events.by_event_id(made.id)
    assert (await event.patch(Event(subject="Later"))).subject == "Later"
    await event.delete()
    with pytest.raises(ODataError) as raised:
        await event.get()
    assert raised.value.error.code == "ErrorItemNotFound"


async def test_it_makes_renews_and_ends_a_subscription(
    mia: Account, sdk: GraphServiceClient
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        token = Request(scope).query_params.get("validationToken")
        answer = PlainTextResponse(token) if token else Response(status_code=202)
        await answer(scope, receive, send)

    async with serving(app) as url:
        body = Subscription(
            change_type="created,updated,deleted",
            resource=f"/me/calendars/{mia.primary.id}/events",
            notification_url=f"{url}/push",
            lifecycle_notification_url=f"{url}/lifecycle",
            expiration_date_time=NOW + timedelta(days=2),
            client_state="s3cret",
        )
        made = await sdk.subscriptions.post(body)
        assert made.expiration_date_time == NOW + timedelta(days=2)
        assert list(unknown(made)) == []
        one = sdk.subscriptions.by_subscription_id(made.id)
        later = NOW + timedelta(days=3)
        renewed = await one.patch(Subscription(expiration_date_time=later))
        assert renewed.expiration_date_time == later
        await one.delete()
        with pytest.raises(ODataError) as raised:
            await one.get()
        assert raised.value.error.code == "ResourceNotFound"


async def test_it_waits_when_it_is_throttled(
    cal: CalendarRehearsal, sdk: GraphServiceClient
) -> None:
    cal.microsoft.fault("throttled", "calendars.list", retry_after=1)
    assert len((await sdk.me.calendars.get()).value) == 1
    statuses = [exchange.status for exchange in cal.microsoft.asked("calendars.list")]
    assert statuses == [429, 200]
