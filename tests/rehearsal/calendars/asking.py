"""Plain clients of both rehearsals, which keep what they are told as a good client would."""

import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from sitin.rehearsal.calendars import Account
from sitin.rehearsal.calendars.google.provider import GoogleRehearsal

Json = dict[str, Any]


class GoogleClient:
    """Asks Google's rehearsal as one account."""

    def __init__(self, provider: GoogleRehearsal, account: Account) -> None:
        self.provider = provider
        self.account = account
        # No certificate is looked at; reading those of the system takes a quarter of a second.
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._http = httpx.AsyncClient(trust_env=False, verify=tls)
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


def reasons(answer: httpx.Response) -> tuple[int, str]:
    """Status and reason of an error."""
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
