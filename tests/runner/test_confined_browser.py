"""A bot's real browser below the whole of its confinement, in a call with itself."""

import json
from pathlib import Path

import pytest

from sitin.contract.spec import BrowserSpec
from sitin.runner import firewall
from tests.runner.conftest import HEADLESS_SHELL
from tests.runner.host import Host, last_word
from tests.runner.test_confinement import LOCAL, own_address
from tests.waiting import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(firewall.failure() is not None, reason="no nftables for this user here"),
    pytest.mark.skipif(not Path(HEADLESS_SHELL).exists(), reason="no headless shell here"),
    pytest.mark.skipif(own_address() is None, reason="the machine is on no network"),
]


@pytest.mark.parametrize(
    ("host_rules", "connects"),
    [(LOCAL.host_rules, True), ("", False)],
    ids=["rehearsal", "meeting"],
)
async def test_media_reaches_this_machine_in_a_rehearsal_alone(
    host: Host, host_rules: str, *, connects: bool
) -> None:
    """Two ends of a call in one page send to an address of this machine's own."""
    browser = BrowserSpec(path=HEADLESS_SHELL, host_rules=host_rules)
    bot = await host.launch("call", browser=browser)
    await until((bot.directory / "found.json").exists, seconds=60)
    found = json.loads((bot.directory / "found.json").read_text())
    await bot.leave()
    await last_word(bot)
    await bot.discard()
    assert (found["state"] == "connected") == connects
