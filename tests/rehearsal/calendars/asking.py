"""Plain clients of both rehearsals, which keep what they are told as a good client would."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from sitin.kit.tls import trusted
from sitin.rehearsal.calendars import Account
from sitin.rehearsal.calendars.google.provider import GoogleRehearsal
from sitin.rehearsal.calendars.microsoft.provider import MicrosoftRehearsal

Json = dict[str, Any]


class GoogleClient:
    """Asks Google's rehearsal as one account."""

    def __init__(self, provider: GoogleRehearsal, account: Account) -> None:
        self.provider = provider
        self.account = account
        self._http = client()
        self._token = ""

    async def __aenter__(self) -> Self:
        await self.refresh()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def token(self, **changes: str) -> httpx.Response:
        """Ask the token endpoint; an empty field is left out."""
        form = {
            "grant_type": "refresh_token",
            "client_id": self.provider.client.id,
            "client_secret": self.provider.client.secret,
            "refresh_token": self.account.refresh_token,
            **changes,
        }
        kept = {name: value for name, value in form.items() if value}
        return await self._http.post(self.provider.token_url, data=kept)

    async def refresh(self) -> None:
        answer = await self.token()
        assert answer.status_code == 200, answer.text
        self._token = answer.json()["access_token"]

    async def ask(
        self, method: str, path: str, *, json: Any = None, **query: Any
    ) -> httpx.Response:
        """One request; ``path`` is below the calendar API."""
        return await self._http.request(
            method,
            f"{self.provider.api_url}/calendar/v3{path}",
            params={name: _text(value) for name, value in query.items()},
            json=json,
            headers={"authorization": f"Bearer {self._token}"},
        )

    async def get(self, path: str, **query: Any) -> Json:
        answer = await self.ask("GET", path, **query)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def pages(self, calendar_id: str = "primary", **query: Any) -> list[Json]:
        """All pages of a listing of events."""
        path = f"/calendars/{quote(calendar_id, safe='')}/events"
        found = [await self.get(path, **query)]
        while "nextPageToken" in found[-1]:
            token = found[-1]["nextPageToken"]
            found.append(await self.get(path, **query, pageToken=token))
        return found

    async def events(self, calendar_id: str = "primary", **query: Any) -> list[Json]:
        """The events of a listing."""
        return [item for page in await self.pages(calendar_id, **query) for item in page["items"]]


class GoogleCopy:
    """What a client keeps of a calendar: a full listing of a window, and the changes since."""

    def __init__(
        self, client: GoogleClient, *, window: Mapping[str, str] | None = None, **query: Any
    ) -> None:
        self._client = client
        self._window = window or {}
        self._query = query
        self.events: dict[str, Json] = {}
        self.token = ""

    async def sync(self) -> list[Json]:
        """Bring it up to date; what was told."""
        further = {"syncToken": self.token} if self.token else self._window
        pages = await self._client.pages(**self._query, **further)
        told = [item for page in pages for item in page["items"]]
        for item in told:
            self.events[item["id"]] = item
        self.token = pages[-1]["nextSyncToken"]
        assert all("nextSyncToken" not in page for page in pages[:-1])
        return told

    def confirmed(self) -> Mapping[str, Json]:
        """What takes place."""
        return {
            event_id: item
            for event_id, item in self.events.items()
            if item["status"] != "cancelled"
        }


class GraphClient:
    """Asks Microsoft's rehearsal as one account."""

    def __init__(self, provider: MicrosoftRehearsal, account: Account) -> None:
        self.provider = provider
        self.account = account
        self._http = client()
        self._token = ""

    async def __aenter__(self) -> Self:
        await self.refresh()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def token(self, tenant: str = "common", **changes: str) -> httpx.Response:
        """Ask the token endpoint; an empty field is left out."""
        form = {
            "grant_type": "refresh_token",
            "client_id": self.provider.client.id,
            "client_secret": self.provider.client.secret,
            "refresh_token": self.account.refresh_token,
            **changes,
        }
        kept = {name: value for name, value in form.items() if value}
        url = f"{self.provider.login_url}/{tenant}/oauth2/v2.0/token"
        return await self._http.post(url, data=kept)

    async def refresh(self) -> None:
        answer = await self.token()
        assert answer.status_code == 200, answer.text
        self._token = answer.json()["access_token"]

    async def ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        prefer: str = "",
        query: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """One request; ``path`` is below the version, or a whole address."""
        url = path if path.startswith("http") else f"{self.provider.graph_url}/v1.0{path}"
        headers = {"authorization": f"Bearer {self._token}"}
        if prefer:
            headers["prefer"] = prefer
        # An empty mapping would take a link's own parameters away.
        return await self._http.request(
            method, url, params=query or None, json=json, headers=headers
        )

    async def get(self, path: str, *, prefer: str = "", **query: Any) -> Json:
        answer = await self.ask("GET", path, prefer=prefer, query=query)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def pages(self, path: str, *, prefer: str = "", **query: Any) -> list[Json]:
        """All pages of a collection."""
        found = [await self.get(path, prefer=prefer, **query)]
        while "@odata.nextLink" in found[-1]:
            found.append(await self.get(found[-1]["@odata.nextLink"], prefer=prefer))
        return found

    async def events(self, *, prefer: str = "", **query: Any) -> list[Json]:
        """The default calendar's view of the usual window."""
        path = "/me/calendarView"
        return [
            item
            for page in await self.pages(path, prefer=prefer, **WINDOW, **query)
            for item in page["value"]
        ]


class GraphCopy:
    """What a client keeps of a window by delta; a round's occurrences of a series are all."""

    def __init__(self, client: GraphClient, *, page_size: int = 50) -> None:
        self._client = client
        self._prefer = f'odata.maxpagesize={page_size}, IdType="ImmutableId"'
        self.events: dict[str, Json] = {}
        self.link = ""

    async def sync(self) -> list[Json]:
        """Bring it up to date; what was told."""
        path = self.link or "/me/calendarView/delta"
        query = {} if self.link else WINDOW
        pages = await self._client.pages(path, prefer=self._prefer, **query)
        told = [item for page in pages for item in page["value"]]
        self.link = pages[-1]["@odata.deltaLink"]
        assert all("@odata.deltaLink" not in page for page in pages[:-1])
        self._apply(told)
        return told

    def _apply(self, told: list[Json]) -> None:
        whole = {item["id"] for item in told if item.get("type") == "seriesMaster"}
        masters = {item["id"]: item for item in told if item["id"] in whole}
        for event_id, item in list(self.events.items()):
            if item["seriesMasterId"] in whole or event_id in whole:
                del self.events[event_id]
        for item in told:
            if "@removed" in item:
                self.events.pop(item["id"], None)
            elif item["id"] not in whole:
                master = masters.get(item["seriesMasterId"] or "", {})
                self.events[item["id"]] = item if "subject" in item else _hydrated(item, master)


def _hydrated(bare: Json, master: Json) -> Json:
    kept = ("subject", "body", "location", "onlineMeeting", "isCancelled", "responseStatus")
    return {**bare, **{name: master[name] for name in kept if name in master}}


WINDOW = {"startDateTime": "2027-03-20T12:00:00Z", "endDateTime": "2027-04-19T12:00:00Z"}


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a Graph error."""
    return answer.status_code, answer.json()["error"]["code"]


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, verify=trusted())


def reasons(answer: httpx.Response) -> tuple[int, str]:
    """Status and reason of an error."""
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
