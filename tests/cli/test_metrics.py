"""The metrics of processes on one machine: a port each, for this machine only."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing

import httpx
import psutil
import pytest

from sitin.cli.listeners import METRICS_PORTS, metrics_listening
from sitin.cli.settings import Settings
from sitin.kit.errors import OperatorError
from sitin.kit.tls import trusted
from tests.cli.conftest import SECONDS, Machine

TOKEN = "a-token-for-prometheus"


@asynccontextmanager
async def running(
    machine: Machine, *arguments: str, **settings: str
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A process of the service, once its metrics answer: their address, and the process."""
    process = await machine.start(*arguments, **settings)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                line = (await process.stderr.readline()).decode()
                assert line, "it ended before its metrics were served"
                if found := re.search(r'"address": "([^"]+)", "event": "serving_metrics"', line):
                    break
        reading = asyncio.create_task(process.stderr.read())
        yield found[1], process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    await reading


def a_free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.db
async def test_a_serve_and_two_workers_have_metrics_each(machine: Machine) -> None:
    shared = {"SITIN_METRICS_PORT": str(a_free_port())}
    async with AsyncExitStack() as stack:
        started = [
            await stack.enter_async_context(running(machine, *command, **shared))
            for command in (("serve", "--port", "0"), ("worker",), ("worker",))
        ]
        assert len({url for url, _ in started}) == 3
        client = await stack.enter_async_context(httpx.AsyncClient(verify=trusted()))
        for url, process in started:
            answer = await client.get(f"{url}/metrics")
            assert answer.status_code == 200
            assert "sitin_job_runs_total" in answer.text
            assert "sitin_bots_running" in answer.text
            port = int(url.rpartition(":")[2])
            (address,) = {
                one.laddr.ip
                for one in psutil.Process(process.pid).net_connections("tcp")
                if one.status == psutil.CONN_LISTEN and one.laddr.port == port
            }
            assert address == "127.0.0.1"


@pytest.mark.db
async def test_with_a_token_the_public_port_answers_too(machine: Machine) -> None:
    settings = {"SITIN_METRICS_PORT": "none", "SITIN_METRICS_TOKEN": TOKEN}
    async with (
        machine.serving(**settings) as (url, process),
        httpx.AsyncClient(base_url=url, verify=trusted()) as client,
    ):
        assert (await client.get("/metrics")).status_code == 401
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert "sitin_" in (await client.get("/metrics", headers=headers)).text
        listening = [
            one
            for one in psutil.Process(process.pid).net_connections("tcp")
            if one.status == psutil.CONN_LISTEN
        ]
        assert len(listening) == 1, "only the API listens"


@pytest.mark.db
async def test_the_doctor_tells_where_metrics_answer(machine: Machine) -> None:
    async def told(**settings: str) -> dict[str, object]:
        _, output, _ = await machine.run("doctor", "--json", within=SECONDS, **settings)
        (found,) = (one for one in json.loads(output) if one["what"] == "metrics")
        return dict(found)

    port = a_free_port()
    here = await told(SITIN_METRICS_PORT=str(port))
    assert here["well"]
    assert here["told"] == (
        f"a further process answers on http://127.0.0.1:{port}/metrics, to this machine only"
    )
    everywhere = await told(SITIN_METRICS_HOST="0.0.0.0", SITIN_METRICS_PORT="0")
    assert "SITIN_METRICS_TOKEN" in str(everywhere["told"])
    wrong = await told(SITIN_METRICS_HOST="192.0.2.1")
    assert not wrong["well"]
    assert "SITIN_METRICS_HOST" in str(wrong["told"])
    assert "none" in str((await told(SITIN_METRICS_PORT="none"))["told"])


@pytest.mark.unit
def test_ports_in_use_are_passed_by_until_there_are_none() -> None:
    settings = Settings(metrics_port=a_free_port())
    assert settings.metrics_port is not None
    ports: list[int] = []
    with ExitStack() as taken:

        def take() -> int:
            listener = taken.enter_context(metrics_listening(settings))
            assert listener is not None
            port: int = listener.getsockname()[1]
            return port

        with pytest.raises(OperatorError, match=r"ports \d+ to \d+ of 127.0.0.1"):
            ports.extend(iter(take, None))
    assert ports
    assert ports == sorted(set(ports))
    assert ports[-1] < settings.metrics_port + METRICS_PORTS
