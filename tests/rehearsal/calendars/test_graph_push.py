"""Graph's subscriptions: handshake, notifications, lifecycle."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from sitin.kit.clock import iso
from sitin.rehearsal.calendars import (
    Account,
    CalendarControlError,
    CalendarRehearsal,
    UnknownError,
)
from tests.rehearsal.calendars.asking import GraphClient, code
from tests.rehearsal.calendars.conftest import NOW
from tests.serving import serving


class Subscriber:
    """Answers handshakes as it should, and keeps the notifications of each path."""

    def __init__(self) -> None:
        self.tokens: list[tuple[str, str]] = []
        self.bodies: dict[str, list[Any]] = {}
        self.shake: dict[str, Callable[[str], Response]] = {}
        """path → another way to answer its handshake."""
        self.answers: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        path = request.url.path
        token = request.query_params.get("validationToken")
        if token is not None:
            assert request.headers["content-type"].startswith("text/plain")
            self.tokens.append((path, token))
            response = self.shake.get(path, PlainTextResponse)(token)
        else:
            self.bodies.setdefault(path, []).append(json.loads(await request.body()))
            response = Response(status_code=self.answers.pop(0) if self.answers else 202)
        await response(scope, receive, send)

    def items(self, path: str = "/push") -> list[Any]:
        return [item for body in self.bodies.get(path, []) for item in body["value"]]


@pytest.fixture
def subscriber() -> Subscriber:
    return Subscriber()


@pytest.fixture
async def url(subscriber: Subscriber) -> AsyncIterator[str]:
    async with serving(subscriber) as address:
        yield address


async def subscribe(graph: GraphClient, url: str, *, prefer: str = "", **changes: Any) -> Any:
    body = {
        "changeType": "created,updated,deleted",
        "resource": f"/me/calendars/{graph.account.primary.id}/events",
        "notificationUrl": f"{url}/push",
        "lifecycleNotificationUrl": f"{url}/lifecycle",
        "expirationDateTime": iso(NOW + timedelta(minutes=4230)),
        "clientState": "s3cret",
        **changes,
    }
    kept = {name: value for name, value in body.items() if value is not None}
    return await graph.ask("POST", "/subscriptions", json=kept, prefer=prefer)


async def test_both_addresses_are_asked_while_the_request_is_open(
    graph: GraphClient, subscriber: Subscriber, url: str
) -> None:
    answer = await subscribe(graph, url)
    assert answer.status_code == 201
    made = answer.json()
    assert [path for path, _ in subscriber.tokens] == ["/push", "/lifecycle"]
    for _, token in subscriber.tokens:
        assert {":", " ", "+"} <= set(token)
    assert made["expirationDateTime"] == "2027-03-23T10:30:00.0000000Z"
    assert (made["clientState"], made["changeType"]) == ("s3cret", "created,deleted,updated")
    got = await graph.get(f"/subscriptions/{made['id']}")
    listed = await graph.get("/subscriptions")
    assert got["id"] == listed["value"][0]["id"] == made["id"]


async def test_the_address_may_have_parameters_of_its_own(
    graph: GraphClient, subscriber: Subscriber, url: str
) -> None:
    answer = await subscribe(graph, url, notificationUrl=f"{url}/push?calendar=7")
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "shake",
    [
        lambda token: PlainTextResponse(token, 202),
        HTMLResponse,
        lambda token: PlainTextResponse(token.replace(" ", "+")),
        lambda token: PlainTextResponse(""),
    ],
    ids=["status", "content type", "encoded", "empty"],
)
@pytest.mark.parametrize("path", ["/push", "/lifecycle"])
async def test_a_handshake_that_fails_makes_no_subscription(
    graph: GraphClient,
    subscriber: Subscriber,
    url: str,
    path: str,
    shake: Callable[[str], Response],
) -> None:
    subscriber.shake[path] = shake
    assert code(await subscribe(graph, url)) == (400, "ValidationError")
    assert (await graph.get("/subscriptions"))["value"] == []


async def test_an_address_where_nobody_listens(graph: GraphClient, url: str) -> None:
    for changes in (
        {"notificationUrl": "http://127.0.0.1:9/push"},
        {"lifecycleNotificationUrl": "http://127.0.0.1:9/push"},
    ):
        assert code(await subscribe(graph, url, **changes)) == (400, "ValidationError")


async def test_what_a_notification_holds(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient, subscriber: Subscriber, url: str
) -> None:
    made = (await subscribe(graph, url, prefer='IdType="ImmutableId"')).json()
    event = mia.primary.add("New", "2027-03-22T10:00")
    mia.primary.edit(event, title="Newer")
    mia.primary.delete(event)
    await cal.pushes.settled()
    items = subscriber.items()
    assert sorted(item["changeType"] for item in items) == ["created", "deleted", "updated"]
    item = items[0]
    assert item["subscriptionId"] == made["id"]
    assert item["clientState"] == "s3cret"
    assert item["tenantId"] == cal.microsoft.tenant_id
    assert item["subscriptionExpirationDateTime"] == made["expirationDateTime"]
    assert item["resource"].endswith(f"/Events/{item['resourceData']['id']}")
    mia.primary.restore(event)
    [listed] = await graph.events(prefer='IdType="ImmutableId"')
    assert item["resourceData"]["id"] == listed["id"]


async def test_only_what_is_asked_for_is_told(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient, subscriber: Subscriber, url: str
) -> None:
    await subscribe(graph, url, changeType="deleted", clientState=None)
    event = mia.primary.add("New", "2027-03-22T10:00")
    mia.calendar("Team").add("Elsewhere", "2027-03-22T10:00")
    mia.primary.delete(event)
    await cal.pushes.settled()
    [item] = subscriber.items()
    assert (item["changeType"], item["clientState"]) == ("deleted", None)


async def test_a_request_may_carry_what_is_for_several_subscriptions(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient, subscriber: Subscriber, url: str
) -> None:
    first = (await subscribe(graph, url)).json()
    second = (await subscribe(graph, url, clientState="other")).json()
    mia.primary.add("New", "2027-03-22T10:00")
    await cal.pushes.settled()
    [body] = subscriber.bodies["/push"]
    assert [item["subscriptionId"] for item in body["value"]] == [first["id"], second["id"]]
    assert [item["clientState"] for item in body["value"]] == ["s3cret", "other"]
    cal.pushes.hold()
    mia.primary.add("Newer", "2027-03-22T11:00")
    mia.primary.add("Newest", "2027-03-22T12:00")
    assert cal.pushes.release(together=True) == 4
    await cal.pushes.settled()
    assert [len(body["value"]) for body in subscriber.bodies["/push"]] == [2, 4]


async def test_whatever_is_no_success_is_sent_again(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient, subscriber: Subscriber, url: str
) -> None:
    cal.pushes.retry_delays = (0.0, 0.0, 0.0)
    await subscribe(graph, url)
    subscriber.answers = [404, 503, 202]
    mia.primary.add("New", "2027-03-22T10:00")
    await cal.pushes.settled()
    assert len(subscriber.items()) == 3


async def test_a_subscription_lives_until_it_expires_and_is_renewed_in_place(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient, subscriber: Subscriber, url: str
) -> None:
    soon = iso(NOW + timedelta(minutes=50))
    path = f"/subscriptions/{(await subscribe(graph, url, expirationDateTime=soon)).json()['id']}"
    cal.clock.move(timedelta(minutes=49))
    later = {"expirationDateTime": iso(NOW + timedelta(minutes=100))}
    renewed = await graph.ask("PATCH", path, json=later)
    assert (renewed.status_code, renewed.json()["clientState"]) == (200, "s3cret")
    cal.clock.move(timedelta(minutes=50))
    await graph.refresh()
    mia.primary.add("told", "2027-03-22T10:00")
    cal.clock.move(timedelta(minutes=1))
    mia.primary.add("not told", "2027-03-22T11:00")
    await cal.pushes.settled()
    assert len(subscriber.items()) == 1
    for answer in (
        await graph.ask("PATCH", path, json={"expirationDateTime": "2027-03-22T00:00:00Z"}),
        await graph.ask("DELETE", path),
        await graph.ask("GET", path),
    ):
        assert code(answer) == (404, "ResourceNotFound")


async def test_a_subscription_ends_when_it_is_deleted(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient, subscriber: Subscriber, url: str
) -> None:
    path = f"/subscriptions/{(await subscribe(graph, url)).json()['id']}"
    assert (await graph.ask("POST", f"{path}/reauthorize")).status_code == 200
    assert (await graph.ask("DELETE", path)).status_code == 204
    mia.primary.add("New", "2027-03-22T10:00")
    await cal.pushes.settled()
    assert subscriber.items() == []


@pytest.mark.parametrize(
    ("minutes", "granted"), [(10, 45), (44, 45), (46, 46), (4230, 4230), (10_080, 10_080)]
)
async def test_how_long_a_subscription_may_live(
    graph: GraphClient, url: str, minutes: int, granted: int
) -> None:
    wanted = iso(NOW + timedelta(minutes=minutes))
    made = (await subscribe(graph, url, expirationDateTime=wanted)).json()
    assert made["expirationDateTime"][:16] == iso(NOW + timedelta(minutes=granted))[:16]


async def test_the_cap_is_the_providers(
    cal: CalendarRehearsal, graph: GraphClient, url: str
) -> None:
    cal.microsoft.subscriptions.longest = timedelta(minutes=4230)
    wanted = iso(NOW + timedelta(minutes=4231))
    refused = await subscribe(graph, url, expirationDateTime=wanted)
    assert code(refused) == (400, "ExtensionError")
    assert "4230 minutes" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"changeType": None}, "InvalidRequest"),
        ({"changeType": "created,moved"}, "InvalidRequest"),
        ({"notificationUrl": None}, "InvalidRequest"),
        ({"notificationUrl": "http://example.com/push"}, "InvalidRequest"),
        ({"resource": None}, "InvalidRequest"),
        ({"resource": "/me/messages"}, "InvalidRequest"),
        ({"expirationDateTime": None}, "InvalidRequest"),
        ({"expirationDateTime": "soon"}, "ErrorInvalidParameter"),
        ({"expirationDateTime": "2027-03-01T00:00:00Z"}, "ValidationError"),
        ({"clientState": "x" * 129}, "InvalidRequest"),
    ],
)
async def test_a_subscription_that_cannot_be_made(
    graph: GraphClient, url: str, changes: dict[str, Any], says: str
) -> None:
    assert code(await subscribe(graph, url, **changes)) == (400, says)


async def test_only_calendars_of_ones_own(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient, url: str
) -> None:
    ben = cal.microsoft.account("ben@contoso.com")
    resource = f"/me/calendars/{ben.primary.id}/events"
    assert code(await subscribe(graph, url, resource=resource)) == (404, "ErrorItemNotFound")
    made = (await subscribe(graph, url, resource="me/events")).json()
    async with GraphClient(cal.microsoft, ben) as other:
        refused = await other.ask("DELETE", f"/subscriptions/{made['id']}")
        assert code(refused) == (404, "ResourceNotFound")
    mia.primary.pushes = False
    assert code(await subscribe(graph, url)) == (400, "ValidationError")


async def test_only_the_expiry_can_be_changed(graph: GraphClient, url: str) -> None:
    path = f"/subscriptions/{(await subscribe(graph, url)).json()['id']}"
    change = {"lifecycleNotificationUrl": f"{url}/other"}
    assert code(await graph.ask("PATCH", path, json=change)) == (400, "InvalidRequest")


async def test_the_life_of_a_subscription_is_told(
    cal: CalendarRehearsal, mia: Account, graph: GraphClient, subscriber: Subscriber, url: str
) -> None:
    made = (await subscribe(graph, url)).json()
    for what in ("reauthorizationRequired", "missed", "subscriptionRemoved"):
        cal.microsoft.subscriptions.lifecycle(made["id"], what)
        await cal.pushes.settled()
    items = subscriber.items("/lifecycle")
    assert [item["lifecycleEvent"] for item in items] == [
        *("reauthorizationRequired", "missed", "subscriptionRemoved")
    ]
    assert {item["clientState"] for item in items} == {"s3cret"}
    mia.primary.add("New", "2027-03-22T10:00")
    await cal.pushes.settled()
    assert subscriber.items("/push") == []
    refused = await graph.ask("PATCH", f"/subscriptions/{made['id']}", json={})
    assert code(refused) == (404, "ResourceNotFound")
    with pytest.raises(UnknownError):
        cal.microsoft.subscriptions.lifecycle(made["id"], "missed")


async def test_without_an_address_for_it_nothing_is_told_of_its_life(
    cal: CalendarRehearsal, graph: GraphClient, url: str
) -> None:
    made = (await subscribe(graph, url, lifecycleNotificationUrl=None)).json()
    with pytest.raises(CalendarControlError, match="no lifecycleNotificationUrl"):
        cal.microsoft.subscriptions.lifecycle(made["id"], "missed")


async def test_a_handshake_waits_no_longer_than_its_time(
    cal: CalendarRehearsal, graph: GraphClient, url: str, subscriber: Subscriber
) -> None:
    cal.pushes.timeout = 0.05
    never = asyncio.Event()

    class Hanging(Response):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await never.wait()

    subscriber.shake["/push"] = lambda _: Hanging()
    refused = await subscribe(graph, url)
    assert code(refused) == (400, "ValidationError")
    assert "timed out" in refused.json()["error"]["message"]
    never.set()
