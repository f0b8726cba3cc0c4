"""Teams, keys and tokens by command, beside a running service."""

import httpx
import pytest

from sitin.kit.ids import new_id
from sitin.kit.tls import trusted
from tests.cli.conftest import Machine

pytestmark = pytest.mark.db

BOT = {"bot_name": "Notes", "meeting_url": "https://meet.google.com/abc-defg-hij"}


async def test_a_team_from_its_creation_to_its_last_token(machine: Machine) -> None:
    async with machine.serving(SITIN_PLANS='{"lab": {"bots_per_day": 3}}') as (url, _):
        plans = {"SITIN_PLANS": '{"lab": {"bots_per_day": 3}}'}
        team = await machine.json(
            "team", "create", "--name", "Lab", "--plan", "lab", "--tokens", "1", **plans
        )
        headers = {"x-meeting-baas-api-key": team["api_key"]}
        async with httpx.AsyncClient(base_url=url, headers=headers, verify=trusted()) as client:
            made = [await client.post("/v2/bots", json=BOT) for _ in range(3)]
            assert [answer.status_code for answer in made] == [201, 201, 402]
            account = await machine.json(
                "tokens", "grant", "--team", team["team_id"], "--amount", "2.5", "--note", "paid"
            )
            assert account == {
                "granted": "3.5",
                "consumed": "0",
                "reserved": "1",
                "available": "2.5",
            }
            assert (await client.post("/v2/bots", json=BOT)).status_code == 201
            refused = await client.post("/v2/bots", json=BOT)
            assert refused.json()["code"] == "FST_ERR_DAILY_BOT_CAP_REACHED"
            await machine.json("team", "update", "--team", team["team_id"], "--plan", "unlimited")
            assert (await client.post("/v2/bots", json=BOT)).status_code == 201
        lines = await machine.json("tokens", "ledger", "--team", team["team_id"])
        assert [line["kind"] for line in lines] == [
            "reserve",
            "grant",
            "reserve",
            "reserve",
            "grant",
        ]
        assert (lines[1]["note"], lines[1]["amount"]) == ("paid", "2.5")
        (found,) = (one for one in await machine.json("team", "list") if one["name"] == "Lab")
        assert (found["plan"], found["reserved"]) == ("unlimited", "1.5")


async def test_a_revoked_key_opens_nothing_from_then_on(machine: Machine) -> None:
    async with machine.serving() as (url, _):
        team = await machine.json("team", "create", "--name", "Acme")
        key = await machine.json(
            "key", "create", "--team", team["team_id"], "--permission", "sending_access"
        )
        headers = {"x-meeting-baas-api-key": key["api_key"]}
        async with httpx.AsyncClient(base_url=url, headers=headers, verify=trusted()) as client:
            assert (await client.post("/v2/bots", json=BOT)).status_code == 201
            revoked = await machine.json("key", "revoke", key["key_id"])
            assert revoked["revoked_at"] is not None
            assert (await client.post("/v2/bots", json=BOT)).status_code == 401
        listed = await machine.json("key", "list", "--team", team["team_id"])
        assert [one["permission"] for one in listed] == ["full_access", "sending_access"]
        assert listed[1]["last_used_at"] is not None
        assert key["api_key"] not in str(listed)


NOT_THERE = {
    ("team", "create", "--name", "X", "--plan", "gold"): "There is no plan 'gold'",
    ("team", "update", "--team", "{nobody}", "--name", "X"): "There is no team",
    ("key", "create", "--team", "{nobody}", "--permission", "full_access"): "There is no team",
    ("key", "list", "--team", "{nobody}"): "There is no team",
    ("key", "revoke", "{nobody}"): "There is no API key",
    ("tokens", "grant", "--team", "{nobody}", "--amount", "1"): "There is no team",
    ("tokens", "ledger", "--team", "{nobody}"): "There is no team",
}


async def test_what_is_not_there_is_one_sentence(machine: Machine) -> None:
    nobody = str(new_id())
    async with machine.serving():
        for arguments, sentence in NOT_THERE.items():
            code, output, errors = await machine.run(
                *(one.format(nobody=nobody) for one in arguments)
            )
            assert (code, output) == (1, ""), arguments
            assert errors.startswith(sentence)
            assert errors.count("\n") == 1


NAME = (
    "A team's name has 1 to 255 characters, at least one of them visible and none "
    "a control character.\n"
)
TOKENS = "This team can be granted 0.000001 to 99999999999999.999999 tokens.\n"
NOT_POSSIBLE = {
    ("team", "create", "--name", "x" * 5000): NAME,
    ("team", "create", "--name", ""): NAME,
    ("team", "create", "--name", "a\nb"): NAME,
    ("team", "create", "--name", "   "): NAME,
    ("team", "update", "--team", "{team}", "--name", "\u3164"): NAME,
    ("team", "update", "--team", "{team}", "--name", ""): NAME,
    ("team", "create", "--name", "Rich", "--tokens", "1e30"): TOKENS,
    ("team", "create", "--name", "Rich", "--tokens", "inf"): TOKENS,
    ("tokens", "grant", "--team", "{team}", "--amount", "inf"): TOKENS,
    ("tokens", "grant", "--team", "{team}", "--amount", "1e30"): TOKENS,
    ("tokens", "grant", "--team", "{team}", "--amount", "100000000000000"): TOKENS,
    ("tokens", "grant", "--team", "{team}", "--amount", "0.0000001"): TOKENS,
}


async def test_what_the_tables_cannot_hold_is_one_sentence(machine: Machine) -> None:
    async with machine.serving():
        team = (await machine.json("team", "create", "--name", "x" * 255))["team_id"]
        for arguments, sentence in NOT_POSSIBLE.items():
            ran = await machine.run(*(one.format(team=team) for one in arguments))
            assert ran == (1, "", sentence), arguments
        grant = ("tokens", "grant", "--team", team, "--amount")
        assert (await machine.json(*grant, "0.000001"))["granted"] == "0.000001"
        assert (await machine.json(*grant, "99999999999999"))["granted"] == "99999999999999.000001"
        code, _, errors = await machine.run(*grant, "1")
        assert code == 1
        assert errors == "This team can be granted 0.000001 to 0.999998 tokens.\n"
        made = {one["name"] for one in await machine.json("team", "list")}
        assert "x" * 255 in made
        assert "Rich" not in made


async def test_a_team_on_a_plan_that_is_gone_stops_the_service(machine: Machine) -> None:
    plans = {"SITIN_PLANS": '{"lab": {}}'}
    await machine.json("team", "create", "--name", "Lab", "--plan", "lab", **plans)
    code, output, errors = await machine.run("serve", "--port", "0")
    assert (code, output) == (1, "")
    assert "There is no plan 'lab'" in errors.splitlines()[-1]
