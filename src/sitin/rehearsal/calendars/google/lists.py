"""Google's tokens, profile and calendars: everything but events. For the routes."""

from starlette.responses import JSONResponse, Response

from sitin.rehearsal.calendars.accounts import Entry, Role
from sitin.rehearsal.calendars.google import oauth
from sitin.rehearsal.calendars.google.errors import full_sync_required, invalid
from sitin.rehearsal.calendars.google.provider import GoogleRehearsal, answer
from sitin.rehearsal.calendars.google.reading import read_flag, read_max
from sitin.rehearsal.calendars.google.render import render_calendar, render_entry
from sitin.rehearsal.calendars.paging import cut, read_token, write_token
from sitin.rehearsal.calendars.provider import Call

_DEFAULT_RESULTS = 100
_MOST_RESULTS = 250
_ROLES = tuple(Role)


class ListHandlers:
    """One method per route."""

    def __init__(self, google: GoogleRehearsal) -> None:
        self._google = google

    async def token(self, call: Call) -> Response:
        """Refresh an access token."""
        grant, scopes = oauth.refresh(call.form, self._google.clients, self._google.tokens.refresh)
        access = grant.new_access(scopes, self._google.clock.now())
        return JSONResponse(oauth.answer(access.text, scopes))

    async def userinfo(self, call: Call) -> Response:
        """Who it is."""
        account = call.account
        shown = {
            "id": account.id,
            "email": account.email,
            "verified_email": True,
            "name": account.name,
            "picture": "https://lh3.googleusercontent.com/a/default-user=s96-c",
        }
        return answer(call, shown)

    async def calendar(self, call: Call) -> Response:
        """One calendar."""
        return answer(call, render_calendar(self._google.entry(call).calendar))

    async def entry(self, call: Call) -> Response:
        """One calendar of the account's list."""
        return answer(call, render_entry(self._google.entry(call), call.account))

    async def list_calendars(self, call: Call) -> Response:
        """The account's calendars, or those of them that have changed."""
        size = read_max(call.query, default=_DEFAULT_RESULTS, most=_MOST_RESULTS)
        since = self._since(call)
        state = read_token(call.query.get("pageToken", ""))
        if "pageToken" in call.query and (state is None or state.get("k") != "calendars"):
            raise invalid("pageToken")
        state = state or {"o": 0, "p": 1, "n": self._google.world.last_number}
        entries = [entry for entry in call.account.entries.values() if _listed(call, entry, since)]
        page = cut(
            entries, offset=state["o"], size=size, number=state["p"], how=self._google.paging
        )
        shown = {
            "kind": "calendar#calendarList",
            "etag": f'"{state["n"]}"',
            "items": [render_entry(entry, call.account) for entry in page.items],
        }
        if page.next_offset is None:
            shown["nextSyncToken"] = write_token({"k": "calendars", "n": state["n"]})
        else:
            shown["nextPageToken"] = write_token(
                {"k": "calendars", "o": page.next_offset, "p": state["p"] + 1, "n": state["n"]}
            )
        return answer(call, shown)

    def _since(self, call: Call) -> int | None:
        token = call.query.get("syncToken")
        if token is None:
            return None
        if "minAccessRole" in call.query:
            raise invalid("minAccessRole", "Sync token cannot be used with query restrictions.")
        values = read_token(token)
        if values is None or values.get("k") != "calendars":
            raise full_sync_required()
        return int(values["n"])


def _listed(call: Call, entry: Entry, since: int | None) -> bool:
    if since is not None:
        return entry.number > since
    gone = entry.gone or entry.calendar.deleted
    if gone and not read_flag(call.query, "showDeleted"):
        return False
    if entry.hidden and not read_flag(call.query, "showHidden"):
        return False
    least = call.query.get("minAccessRole", Role.FREE_BUSY.value)
    if least not in _ROLES:
        raise invalid("minAccessRole")
    return _ROLES.index(entry.role) >= _ROLES.index(Role(least))
