"""schemathesis over the whole document: examples, edges, random requests, and chains of them."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from sitin.accounts.service import KEY_HEADER
from tests.api.conftest import Api

pytestmark = pytest.mark.db

CHECKS = (
    "not_a_server_error",
    "response_schema_conformance",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "ignored_auth",
)


async def test_nothing_breaks_and_every_answer_keeps_its_schema(api: Api, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        f"{api.url}/openapi.json",
        f"--header={KEY_HEADER}: {api.client.headers[KEY_HEADER]}",
        f"--checks={','.join(CHECKS)}",
        "--phases=examples,coverage,fuzzing,stateful",
        "--max-examples=8",
        "--seed=1",
        "--no-color",
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.api.hooks"},
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    report = output.decode()
    assert process.returncode == 0, report
    assert "✅ Stateful" in report, report
