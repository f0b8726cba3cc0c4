"""``sitin webhook`` on the database of a running delivery, with a receiver that verifies.

The commands run in this process, because there are many; that they work beside a running ``serve``
as processes of their own is shown in ``test_commands``.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sitin.cli.main import app
from sitin.kit import logging
from sitin.kit.errors import OperatorError
from sitin.kit.ids import new_id
from sitin.notifications.events import EventType
from tests.notifications.conftest import Post, post
from tests.waiting import until

__all__ = ["post"]

pytestmark = pytest.mark.db

NOBODY = "01890a5d-ac96-774b-bcce-b302099a8057"


class Webhooks:
    """The commands of ``sitin webhook``."""

    def __init__(self, post: Post) -> None:
        self._settings = {
            "SITIN_DATABASE_URL": post.database.url,
            "SITIN_SECRET_KEYS": post.key,
            "SITIN_ALLOW_PRIVATE_ADDRESSES": "true",
        }

    async def run(self, *arguments: str) -> Result:
        invoke = CliRunner().invoke
        return await asyncio.to_thread(invoke, app, ["webhook", *arguments], env=self._settings)

    async def json(self, *arguments: str) -> Any:
        result = await self.run(*arguments, "--json")
        assert result.exit_code == 0, result.exception
        return json.loads(result.stdout)

    async def lines(self, *arguments: str) -> list[str]:
        """What people see."""
        result = await self.run(*arguments)
        assert result.exit_code == 0, result.exception
        return result.stdout.splitlines()

    async def refused(self, *arguments: str) -> str:
        """The one sentence of what cannot be done."""
        result = await self.run(*arguments, "--json")
        assert result.stdout == ""
        assert isinstance(result.exception, OperatorError), result.output
        assert "\n" not in result.exception.message
        return result.exception.message


@pytest.fixture
def webhooks(post: Post, monkeypatch: pytest.MonkeyPatch) -> Webhooks:
    """The commands, which leave this process's log as it is."""
    monkeypatch.setattr(logging, "configure", lambda **_: None)
    return Webhooks(post)


def count(post: Post, number: int) -> Callable[[], bool]:
    return lambda: len(post.receiver.received["/hook"]) == number


async def test_messages_are_found_read_and_sent_again(post: Post, webhooks: Webhooks) -> None:
    team = ("--team", str(post.team_id))
    made = await webhooks.json("create", *team, "--url", f"{post.url}/hook", "--name", "Main")
    assert made.keys() == {"webhook_id", "secret"}
    webhook_id = made["webhook_id"]
    post.receiver.secrets["/hook"] = made["secret"]
    post.receiver.texts["/hook"] = "\x1b[2Jnoted"
    post.deliver()
    bot_id = new_id()
    message_id = str(await post.publish(EventType.BOT_COMPLETED, bot_id=bot_id))
    await post.publish()
    await post.attempted(2)

    (message,) = await webhooks.json("messages", *team, "--bot", str(bot_id))
    assert (message["message_id"], message["event"]) == (message_id, "bot.completed")
    (place,) = message["endpoints"]
    assert place == {
        "kind": "webhook",
        "webhook_id": webhook_id,
        "url": f"{post.url}/hook",
        "state": "delivered",
        "failure": None,
        "attempts": 1,
        "next_attempt_at": None,
    }
    assert await webhooks.json("messages", *team, "--event", "bot.completed") == [message]
    assert await webhooks.json("messages", *team, "--state", "failed") == []
    assert len(await webhooks.json("messages", *team, "--limit", "1")) == 1

    again = await webhooks.json("resend", message_id, "--webhook", webhook_id)
    assert again["message_id"] == message_id
    assert again["webhook_ids"] == [webhook_id]
    # The command's clock is the machine's.
    await post.pass_until_due()
    await until(count(post, 3))
    assert post.receiver.received["/hook"][2].id == message_id
    await post.attempted(3)

    told = await webhooks.json("attempts", message_id)
    attempts = [one["attempts"] for one in told["deliveries"]]
    assert [len(one) for one in attempts] == [1, 1]
    assert (attempts[0][0]["status"], attempts[0][0]["answer"]) == (200, "\x1b[2Jnoted")
    assert attempts[0][0]["duration_ms"] >= 0
    lines = await webhooks.lines("attempts", message_id)
    assert "\x1b" not in "".join(lines), "what a receiver says does not steer a terminal"
    assert r"'\x1b[2Jnoted'" in lines[1]
    lines = await webhooks.lines("messages", *team)
    assert [message_id in line for line in lines] == [False, False, True, False]
    assert lines[3].endswith("delivered, 2 attempts")


async def test_an_endpoint_is_changed_rotated_and_deleted(post: Post, webhooks: Webhooks) -> None:
    endpoint = await post.endpoint("/hook")
    webhook_id, team = str(endpoint.id), ("--team", str(post.team_id))
    message_id = str(await post.publish())

    rotated = await webhooks.json("rotate", webhook_id, "--overlap", "1h")
    assert rotated.keys() == {"webhook_id", "secret", "overlap_until"}
    post.deliver()
    await until(count(post, 1))
    (received,) = post.receiver.received["/hook"]
    for secret in (endpoint.secret, rotated["secret"]):
        assert post.receiver.verifies(received, secret)
    (listed,) = await webhooks.json("list", *team)
    assert listed["overlap_until"] == rotated["overlap_until"]
    assert (listed["enabled"], listed["events"]) == (True, [])
    assert "whsec_" not in str(listed)

    await webhooks.json("update", webhook_id, "--disable")
    assert "disabled: by hand." in (await webhooks.lines("list", *team))[1]
    assert "--enable" in await webhooks.refused("resend", message_id)
    await webhooks.json("update", webhook_id, "--enable", "--event", "bot.failed", "--name", "B")
    (listed,) = await webhooks.json("list", *team)
    assert (listed["name"], listed["enabled"], listed["events"]) == ("B", True, ["bot.failed"])
    await webhooks.json("update", webhook_id, "--all-events")
    assert "all events; enabled" in (await webhooks.lines("list", *team))[1]

    await webhooks.json("delete", webhook_id)
    assert await webhooks.json("list", *team) == []
    assert len(await webhooks.json("messages", *team)) == 1
    assert webhook_id in await webhooks.refused("update", webhook_id, "--enable")


async def test_what_is_not_there_is_one_sentence(post: Post, webhooks: Webhooks) -> None:
    for arguments in (
        ["update", NOBODY, "--name", "x"],
        ["rotate", NOBODY],
        ["delete", NOBODY],
        ["attempts", NOBODY],
        ["resend", NOBODY],
        ["list", "--team", NOBODY],
        ["messages", "--team", NOBODY],
        ["create", "--team", NOBODY, "--url", "https://a.example/"],
    ):
        assert NOBODY in await webhooks.refused(*arguments)


async def test_what_makes_no_sense_is_one_sentence(post: Post, webhooks: Webhooks) -> None:
    webhook_id = str((await post.endpoint("/hook")).id)
    for arguments, words in (
        (["update", webhook_id], "nothing to change"),
        (["update", webhook_id, "--name", ""], "1 to 255"),
        (["update", webhook_id, "--url", "ftp://a.example/"], "--url: "),
        (["update", webhook_id, "--event", "bot.done"], "bot.completed"),
        (["update", webhook_id, "--event", "bot.failed", "--all-events"], "exclude"),
        (["rotate", webhook_id, "--overlap", "long"], "--overlap must be a duration"),
        (["rotate", webhook_id, "--overlap", "31d"], "30 days at most"),
        (["messages", "--team", str(post.team_id), "--event", "bot.done"], "bot.completed"),
    ):
        assert words in await webhooks.refused(*arguments)
