"""What only S3 has: parts, content types, presigned URLs."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sitin.contract.failures import ActionRequiredError
from sitin.providers.storage.s3 import S3ObjectStore
from tests.providers.storage.bucket import CREDENTIALS, client, s3_server

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


async def test_a_large_file_goes_in_parts_with_its_type(endpoint: str, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(20_000_000))
    store = S3ObjectStore("recordings", "install/one", endpoint=endpoint)
    await store.put_file("bots/1/output.mp4", path, content_type="video/mp4")
    head = client(endpoint).head_object(Bucket="recordings", Key="install/one/bots/1/output.mp4")
    assert head["ContentType"] == "video/mp4"
    assert head["ETag"].strip('"').endswith("-3")


async def test_a_presigned_url_needs_no_key(endpoint: str) -> None:
    store = S3ObjectStore("recordings", endpoint=endpoint)
    await store.put_bytes("a/b.json", b"{}", content_type="application/json")
    url = await store.presigned_url("a/b.json", expires_in=timedelta(hours=4))
    assert url is not None
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Expires"] == ["14400"]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    async with httpx.AsyncClient() as http:
        answer = await http.get(url, headers={"range": "bytes=1-1"})
        assert (answer.status_code, answer.content) == (206, b"}")
        assert answer.headers["content-type"] == "application/json"


async def test_the_public_endpoint_is_what_customers_get(endpoint: str) -> None:
    store = S3ObjectStore(
        "recordings", endpoint=endpoint, public_endpoint="https://files.example.com"
    )
    url = await store.presigned_url("a", expires_in=timedelta(hours=4))
    assert url is not None
    assert url.startswith("https://files.example.com/recordings/a?")


async def test_no_url_lives_longer_than_the_protocol_allows(endpoint: str) -> None:
    store = S3ObjectStore("recordings", endpoint=endpoint)
    url = await store.presigned_url("a", expires_in=timedelta(days=30))
    assert url is not None
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["604800"]


async def test_a_bucket_that_is_not_there_is_the_operators_to_make(
    endpoint: str, tmp_path: Path
) -> None:
    store = S3ObjectStore("nowhere", endpoint=endpoint)
    with pytest.raises(ActionRequiredError, match="no bucket nowhere") as caught:
        await store.put_bytes("a", b"x", content_type="text/plain")
    assert caught.value.by == "operator"
