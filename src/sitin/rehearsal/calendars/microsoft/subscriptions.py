"""Graph's subscriptions, their handshake and notifications. For the Microsoft rehearsal."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote_plus, urlsplit
from uuid import uuid4

import httpx

from sitin.rehearsal.calendars.accounts import Grant
from sitin.rehearsal.calendars.calendar import Calendar, Change
from sitin.rehearsal.calendars.errors import CalendarControlError, UnknownError
from sitin.rehearsal.calendars.microsoft.errors import (
    invalid,
    no_subscription,
    not_found,
    refusal,
)
from sitin.rehearsal.calendars.microsoft.ids import write
from sitin.rehearsal.calendars.microsoft.reading import read_time
from sitin.rehearsal.calendars.microsoft.render import etag, ticks
from sitin.rehearsal.calendars.pushes import Push, Pushes

LONGEST = timedelta(minutes=10_080)
"""How long a subscription may live; until some years ago it was 4,230 minutes."""
SHORTEST = timedelta(minutes=45)
"""What a shorter life is raised to."""

Lifecycle = Literal["reauthorizationRequired", "subscriptionRemoved", "missed"]
LIFECYCLE: tuple[Lifecycle, ...] = ("reauthorizationRequired", "subscriptionRemoved", "missed")

_KINDS = frozenset({"created", "updated", "deleted"})
_LONGEST_STATE = 128
_RESOURCE = re.compile(r"/?(?:me|users/[^/]+)/(?:calendars/([^/]+)/)?events/?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Somebody who wants to be told when a calendar changes.

    Attributes:
        immutable: Whether notifications carry ids that never change.
    """

    id: str
    resource: str
    kinds: frozenset[str]
    calendar: Calendar
    grant: Grant
    url: str
    lifecycle_url: str | None
    state: str | None
    expires_at: datetime
    immutable: bool
    tenant_id: str

    def render(self) -> dict[str, Any]:
        """The ``subscription`` resource."""
        return {
            "id": self.id,
            "resource": self.resource,
            "applicationId": self.grant.client.id,
            "changeType": ",".join(sorted(self.kinds)),
            "clientState": self.state,
            "notificationUrl": self.url,
            "notificationQueryOptions": None,
            "lifecycleNotificationUrl": self.lifecycle_url,
            "expirationDateTime": ticks(self.expires_at),
            "creatorId": self.grant.account.id,
            "includeResourceData": None,
            "latestSupportedTlsVersion": "v1_2",
            "encryptionCertificate": None,
            "encryptionCertificateId": None,
            "notificationUrlAppId": None,
        }

    def notice(self, change: Change) -> Push | None:
        """A notification of a change; ``None`` of one that is not asked for."""
        if change.kind.value not in self.kinds:
            return None
        event = self.calendar.event(change.event_id)
        event_id = write(event.id, event.generation, change.key, immutable=self.immutable)
        path = f"Users/{self.grant.account.id}/Events/{event_id}"
        item = {
            **self._item(),
            "changeType": change.kind.value,
            "resource": path,
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Event",
                "@odata.id": path,
                "@odata.etag": etag(event),
                "id": event_id,
            },
        }
        return self._push(self.url, item)

    def lifecycle(self, what: Lifecycle) -> Push:
        """A lifecycle notification. Raises ``CalendarControlError``."""
        if self.lifecycle_url is None:
            raise CalendarControlError(
                f"subscription: {self.id} has no lifecycleNotificationUrl; one cannot be added"
            )
        item = {**self._item(), "lifecycleEvent": what, "resource": self.resource}
        return self._push(self.lifecycle_url, item)

    def _item(self) -> dict[str, Any]:
        return {
            "subscriptionId": self.id,
            "subscriptionExpirationDateTime": ticks(self.expires_at),
            "clientState": self.state,
            "tenantId": self.tenant_id,
        }

    def _push(self, url: str, item: Mapping[str, Any]) -> Push:
        headers = {"content-type": "application/json"}
        return Push(self.id, url, headers, item, lambda status: not 200 <= status < 300)


class Subscriptions:
    """All subscriptions of the provider.

    Attributes:
        longest: How long one may live.
        only_https: Whether addresses on this machine have to be HTTPS as well.
    """

    def __init__(self, pushes: Pushes) -> None:
        self.longest = LONGEST
        self.only_https = False
        self._pushes = pushes
        self._open: dict[str, Subscription] = {}

    def __iter__(self) -> Iterator[Subscription]:
        """Those that were not deleted, the expired ones among them."""
        return iter(list(self._open.values()))

    def about(self, calendar: Calendar, now: datetime) -> Sequence[Subscription]:
        """Who is told of a calendar's changes."""
        return [one for one in self if one.calendar is calendar and one.expires_at > now]

    async def subscribe(
        self, body: Mapping[str, Any], grant: Grant, *, now: datetime, immutable: bool, tenant: str
    ) -> Subscription:
        """Make a subscription, once both addresses have answered. Raises ``ApiError``."""
        for name in ("changeType", "notificationUrl", "resource", "expirationDateTime"):
            if not isinstance(body.get(name), str):
                raise invalid(
                    f"{name} is a required property for subscription creation", "InvalidRequest"
                )
        kinds = frozenset(kind.strip().lower() for kind in body["changeType"].split(","))
        if not kinds <= _KINDS:
            raise invalid(f"ChangeType {body['changeType']} is not supported.", "InvalidRequest")
        state = body.get("clientState")
        if state is not None and (not isinstance(state, str) or len(state) > _LONGEST_STATE):
            raise invalid(
                f"clientState has to be text of at most {_LONGEST_STATE} characters.",
                "InvalidRequest",
            )
        made = Subscription(
            id=str(uuid4()),
            resource=body["resource"],
            kinds=kinds,
            calendar=_calendar(body["resource"], grant),
            grant=grant,
            url=body["notificationUrl"],
            lifecycle_url=body.get("lifecycleNotificationUrl"),
            state=state,
            expires_at=self._expiry(body["expirationDateTime"], now),
            immutable=immutable,
            tenant_id=tenant,
        )
        if not made.calendar.pushes:
            raise _not_validated(
                "Notification endpoint must respond with 200 OK to validation request."
            )
        for url in (made.url, made.lifecycle_url):
            if url is not None:
                self._check_url(url)
                await self._shake_hands(url, made.id)
        self._open[made.id] = made
        return made

    def get(self, subscription_id: str, grant: Grant, now: datetime) -> Subscription:
        """One of the same client and account. Raises ``ApiError``."""
        found = self._open.get(subscription_id)
        if found is None or (found.grant.client, found.grant.account) != (
            grant.client,
            grant.account,
        ):
            raise no_subscription()
        if found.expires_at <= now:
            del self._open[subscription_id]
            raise no_subscription()
        return found

    def of(self, grant: Grant, now: datetime) -> list[Subscription]:
        """Those of a client and account."""
        return [
            one
            for one in self
            if (one.grant.client, one.grant.account) == (grant.client, grant.account)
            and one.expires_at > now
        ]

    def renew(self, found: Subscription, body: Mapping[str, Any], now: datetime) -> Subscription:
        """Let one live longer. Raises ``ApiError``."""
        if not body or set(body) - {"expirationDateTime"}:
            raise invalid("Only expirationDateTime can be changed.", "InvalidRequest")
        renewed = replace(found, expires_at=self._expiry(body["expirationDateTime"], now))
        self._open[found.id] = renewed
        return renewed

    def delete(self, found: Subscription) -> None:
        """End one."""
        del self._open[found.id]

    def lifecycle(self, subscription_id: str, what: Lifecycle) -> None:
        """Tell a subscriber of the life of a subscription, and end it if that is what is told."""
        found = self._open.get(subscription_id)
        if found is None:
            raise UnknownError(f"subscription: there is none with the id {subscription_id!r}")
        if what not in LIFECYCLE:
            raise CalendarControlError(f"event: has to be one of {', '.join(LIFECYCLE)}")
        push = found.lifecycle(what)
        if what == "subscriptionRemoved":
            self.delete(found)
        self._pushes.send([push])

    def _expiry(self, text: Any, now: datetime) -> datetime:
        wanted = read_time(text, "expirationDateTime")
        if wanted <= now:
            raise invalid("Subscription expiration has to be in the future.", "ValidationError")
        if wanted > now + self.longest:
            minutes = int(self.longest.total_seconds() // 60)
            raise invalid(
                f"Subscription expiration can only be {minutes} minutes in the future.",
                "ExtensionError",
            )
        return max(wanted, now + SHORTEST)

    def _check_url(self, url: Any) -> None:
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
        local = parts.hostname in ("127.0.0.1", "localhost", "::1") and not self.only_https
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise invalid("The notification URL has to be HTTPS.", "InvalidRequest")

    async def _shake_hands(self, url: str, subscription_id: str) -> None:
        # It holds a space, a colon and a plus, which only a decoded echo gives back as they are.
        token = (
            "Validation: Testing client application reachability for subscription "
            f"Request-Id: {subscription_id}+{uuid4().hex[:8]}"
        )
        mark = "&" if urlsplit(url).query else "?"
        try:
            answer = await self._pushes.ask(f"{url}{mark}validationToken={quote_plus(token)}")
        except httpx.TimeoutException:
            raise _not_validated("The request timed out.") from None
        except httpx.HTTPError as error:
            raise _not_validated(f"The endpoint could not be reached ({error}).") from None
        if answer.status_code != 200:
            raise _not_validated(
                "Notification endpoint must respond with 200 OK to validation request."
            )
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/plain":
            raise _not_validated("The content type of the response must be text/plain.")
        if answer.text != token:
            raise _not_validated("Response must exactly match validationToken query parameter.")


def _calendar(resource: str, grant: Grant) -> Calendar:
    match = _RESOURCE.fullmatch(resource)
    if match is None:
        raise invalid(f"Resource '{resource}' is not supported.", "InvalidRequest")
    if match[1] is None:
        return grant.account.primary
    try:
        return grant.account.entry(match[1]).calendar
    except UnknownError:
        raise not_found() from None


def _not_validated(message: str) -> Exception:
    return refusal(400, "ValidationError", f"Subscription validation request failed. {message}")
