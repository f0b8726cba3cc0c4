"""Tokens, profile, calendars and subscriptions at Microsoft: all but events. For the routes."""

from starlette.responses import JSONResponse, Response

from sitin.rehearsal.calendars.microsoft import oauth
from sitin.rehearsal.calendars.microsoft.errors import invalid, token_refusal
from sitin.rehearsal.calendars.microsoft.provider import MicrosoftRehearsal
from sitin.rehearsal.calendars.microsoft.reading import check_query, read_top
from sitin.rehearsal.calendars.microsoft.render import render_calendar, render_profile
from sitin.rehearsal.calendars.microsoft.subscriptions import Subscription
from sitin.rehearsal.calendars.paging import cut, read_token, write_token
from sitin.rehearsal.calendars.provider import Call


class ListHandlers:
    """One method per route."""

    def __init__(self, microsoft: MicrosoftRehearsal) -> None:
        self._microsoft = microsoft

    async def token(self, call: Call) -> Response:
        """Refresh an access token, and the refresh token with it."""
        tenant = call.path("tenant")
        if tenant.lower() not in self._microsoft.tenants:
            raise token_refusal(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
        grant, scopes = oauth.refresh(
            call.form, self._microsoft.clients, self._microsoft.tokens.refresh
        )
        access = grant.new_access(scopes, self._microsoft.clock.now())
        refresh = None
        if oauth.OFFLINE in scopes:
            refresh = grant.new_refresh()
            if self._microsoft.old_refresh_tokens_die:
                grant.refresh_tokens[:] = [refresh]
        return JSONResponse(oauth.answer(access.text, scopes, refresh))

    async def profile(self, call: Call) -> Response:
        """Who it is."""
        return self._answer("users/$entity", render_profile(call.account))

    async def calendar(self, call: Call) -> Response:
        """One calendar."""
        entry = self._microsoft.entry(call)
        return self._answer("me/calendars/$entity", render_calendar(entry, call.account))

    async def list_calendars(self, call: Call) -> Response:
        """The account's calendars."""
        check_query(call.query)
        size = read_top(call.query)
        state = {"o": 0, "p": 1}
        if "$skiptoken" in call.query:
            found = read_token(call.query["$skiptoken"])
            if found is None or found.get("k") != "calendars":
                raise invalid("Badly formed token.")
            state = found
        entries = [
            entry
            for entry in call.account.entries.values()
            if not entry.gone and not entry.calendar.deleted
        ]
        page = cut(
            entries, offset=state["o"], size=size, number=state["p"], how=self._microsoft.paging
        )
        shown: dict[str, object] = {
            "value": [render_calendar(entry, call.account) for entry in page.items]
        }
        if page.next_offset is not None:
            token = write_token({"k": "calendars", "o": page.next_offset, "p": state["p"] + 1})
            url = f"{self._microsoft.graph_url}/v1.0/me/calendars"
            shown["@odata.nextLink"] = f"{url}?$top={size}&$skiptoken={token}"
        return self._answer("me/calendars", shown)

    async def subscribe(self, call: Call) -> Response:
        """Make a subscription."""
        made = await self._microsoft.subscriptions.subscribe(
            call.json(),
            call.grant,
            now=self._microsoft.clock.now(),
            immutable=self._microsoft.preferences(call).immutable,
            tenant=self._microsoft.tenant_id,
        )
        return self._answer("subscriptions/$entity", made.render(), status=201)

    async def list_subscriptions(self, call: Call) -> Response:
        """The client's subscriptions for the account."""
        found = self._microsoft.subscriptions.of(call.grant, self._microsoft.clock.now())
        return self._answer("subscriptions", {"value": [one.render() for one in found]})

    async def subscription(self, call: Call) -> Response:
        """One of them."""
        return self._answer("subscriptions/$entity", self._subscription(call).render())

    async def renew(self, call: Call) -> Response:
        """Let one live longer."""
        renewed = self._microsoft.subscriptions.renew(
            self._subscription(call), call.json(), self._microsoft.clock.now()
        )
        return self._answer("subscriptions/$entity", renewed.render())

    async def reauthorize(self, call: Call) -> Response:
        """Say that the account still wants it."""
        self._subscription(call)
        return Response(status_code=200)

    async def unsubscribe(self, call: Call) -> Response:
        """End one."""
        self._microsoft.subscriptions.delete(self._subscription(call))
        return Response(status_code=204)

    def _subscription(self, call: Call) -> Subscription:
        return self._microsoft.subscriptions.get(
            call.path("subscription_id"), call.grant, self._microsoft.clock.now()
        )

    def _answer(self, context: str, value: dict[str, object], *, status: int = 200) -> Response:
        url = f"{self._microsoft.graph_url}/v1.0/$metadata#{context}"
        return JSONResponse({"@odata.context": url, **value}, status)
