"""``/metrics``: not on the public port, unless a token is set and sent."""

import httpx
import pytest

from sitin.api.app import create_app
from sitin.api.metrics import create_metrics_app
from tests.api.conftest import Api, services_of
from tests.serving import serving

pytestmark = pytest.mark.db

TOKEN = "a-token-for-prometheus"
WRONG = (
    TOKEN,
    f"Basic {TOKEN}",
    "Bearer",
    "Bearer None",
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN[:-1]}",
    "Bearer \xff\xfe",
)


async def test_the_public_port_has_no_metrics(api: Api) -> None:
    answer = await api.client_with(None).get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (404, "FST_ERR_NOT_FOUND")
    assert "sitin_" not in answer.text
    with_a_key = await api.client.get("/metrics", headers={"authorization": "Bearer None"})
    assert with_a_key.status_code == 404


@pytest.mark.parametrize("public", [True, False], ids=["public port", "port of its own"])
async def test_a_token_opens_the_metrics(api: Api, public: bool) -> None:
    app = (
        create_app(services_of(api.house, api.calendars), metrics_token=TOKEN)
        if public
        else create_metrics_app(TOKEN)
    )
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/metrics")).status_code == 401
        for wrong in WRONG:
            headers = {b"authorization": wrong.encode("latin-1")}
            refused = await client.get("/metrics", headers=headers)
            assert refused.status_code == 401, wrong
            assert refused.headers["www-authenticate"] == "Bearer"
            assert refused.json()["code"] == "FST_ERR_UNAUTHORIZED"
            assert "sitin_" not in refused.text
        for right in (f"Bearer {TOKEN}", f"bearer {TOKEN}"):
            answer = await client.get("/metrics", headers={"authorization": right})
            assert answer.status_code == 200
            assert "sitin_bots_taken_total" in answer.text
        openapi = await client.get("/openapi.json")
        assert "/metrics" not in openapi.text


async def test_a_metrics_port_has_nothing_else() -> None:
    async with (
        serving(create_metrics_app(None)) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        assert "sitin_bots_taken_total" in (await client.get("/metrics")).text
        for path in ("/", "/healthz", "/v2/bots", "/openapi.json", "/metrics/"):
            assert (await client.get(path)).status_code == 404, path
        assert (await client.post("/metrics")).status_code == 405
