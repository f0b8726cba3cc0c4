"""Storing, listing, linking and deleting artifacts, on files and in memory."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import select

from sitin.artifacts.models import Artifact
from sitin.artifacts.routes import router
from sitin.artifacts.service import LINK_LIFETIME, REFUSED, Artifacts
from sitin.contract.failures import RetriableError
from sitin.contract.recording import ArtifactKind, ArtifactRef
from sitin.contract.storage import ObjectNotFoundError, StoredObject
from sitin.kit.crypto import Keyring, new_key
from sitin.kit.database import Database
from sitin.kit.errors import SitinError
from sitin.kit.ids import new_id
from sitin.providers.storage.local import LocalObjectStore
from tests.fakes.storage import FakeObjectStore

pytestmark = pytest.mark.db

VIDEO = b"0123456789" * 50_000


class MovedClock:
    """A clock that tells what it is told."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def artifacts(tmp_path: Path, clock: MovedClock) -> Artifacts:
    return Artifacts(
        store=LocalObjectStore(tmp_path / "store"),
        keyring=Keyring([new_key()]),
        public_url="http://sitin.test/",
        clock=clock,
    )


@pytest.fixture
def client(database: Database, artifacts: Artifacts) -> httpx.AsyncClient:
    app = FastAPI()
    app.state.database = database
    app.state.artifacts = artifacts
    app.include_router(router)

    @app.exception_handler(SitinError)
    async def _(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, SitinError)
        return JSONResponse({"code": error.code}, status_code=error.status)

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sitin.test")


def ref(kind: ArtifactKind, path: str, **more: object) -> ArtifactRef:
    return ArtifactRef.model_validate(
        {"kind": kind, "path": path, "size": 1, "content_type": "text/html", **more}
    )


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    directory = tmp_path / "recording"
    for path in ("output.mp4", "output.flac", "participants/1.flac", "page.html"):
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(VIDEO)
    for number in range(1, 8):
        (directory / "screenshots").mkdir(exist_ok=True)
        (directory / f"screenshots/{number}.png").write_bytes(b"png")
    return directory


FILES = [
    ref(ArtifactKind.VIDEO, "output.mp4"),
    ref(ArtifactKind.AUDIO, "output.flac"),
    ref(ArtifactKind.PARTICIPANT_AUDIO, "participants/1.flac", participant_id="spaces/a"),
    ref(ArtifactKind.UNEXPECTED, "page.html"),
    *(
        ref(ArtifactKind.SCREENSHOT, f"screenshots/{number}.png", number=number)
        for number in range(1, 8)
    ),
]


async def stored(database: Database, artifacts: Artifacts, recording: Path) -> UUID:
    bot_id = new_id()
    refs = await artifacts.store_files(bot_id, recording, FILES)
    async with database.transaction() as session:
        await artifacts.add(session, bot_id, refs)
    return bot_id


async def video_url(database: Database, artifacts: Artifacts, bot_id: UUID) -> str:
    async with database.transaction() as session:
        return (await artifacts.links(session, bot_id))[ArtifactKind.VIDEO]


async def test_a_recording_is_stored_and_linked(
    database: Database, artifacts: Artifacts, recording: Path
) -> None:
    bot_id = await stored(database, artifacts, recording)
    async with database.transaction() as session:
        links = await artifacts.links(session, bot_id)
        assert set(links) == {ArtifactKind.VIDEO, ArtifactKind.AUDIO}
        assert links[ArtifactKind.VIDEO].startswith(
            f"http://sitin.test/artifacts/bots/{bot_id}/output.mp4?signature="
        )
        (voice,) = await artifacts.find(session, bot_id, ArtifactKind.PARTICIPANT_AUDIO)
        assert (voice.participant_id, voice.size) == ("spaces/a", len(VIDEO))
        assert await artifacts.links(session, new_id()) == {}


async def test_storing_again_changes_nothing_but_the_time(
    database: Database, artifacts: Artifacts, recording: Path, clock: MovedClock
) -> None:
    bot_id = await stored(database, artifacts, recording)
    clock.time += timedelta(minutes=1)
    refs = await artifacts.store_files(bot_id, recording, FILES)
    async with database.transaction() as session:
        await artifacts.add(session, bot_id, [*refs, *refs])
        rows = (await session.scalars(select(Artifact).where(Artifact.bot_id == bot_id))).all()
        assert len(rows) == len(FILES)
        assert {row.created_at for row in rows} == {clock.time}
        await artifacts.add(session, bot_id, [])


async def test_size_and_type_are_found_out_not_believed(
    database: Database, artifacts: Artifacts, recording: Path
) -> None:
    kept = await artifacts.store_files(new_id(), recording, FILES)
    assert {(one.path, one.size, one.content_type) for one in kept[:4]} == {
        ("output.mp4", len(VIDEO), "video/mp4"),
        ("output.flac", len(VIDEO), "audio/flac"),
        ("participants/1.flac", len(VIDEO), "audio/flac"),
        ("page.html", len(VIDEO), "text/html; charset=utf-8"),
    }


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../secret", "untrusted"),
        ("/etc/passwd", "untrusted"),
        ("link.mp4", "untrusted"),
        ("directory-link/secret", "untrusted"),
        ("participants", "untrusted"),
        ("", "untrusted"),
        ("out put.mp4", "untrusted"),
        ("not-there.mp4", "missing"),
        ("output.mp4/x", "untrusted"),
        ("x" * 300, "untrusted"),
        ("a\0b", "untrusted"),
    ],
)
async def test_what_a_bots_process_must_not_have_stored(
    artifacts: Artifacts, recording: Path, path: str, why: str
) -> None:
    (recording.parent / "secret").write_text("secret")
    (recording / "link.mp4").symlink_to(recording.parent / "secret")
    (recording / "directory-link").symlink_to(recording.parent)
    (recording / "out put.mp4").write_text("x")
    bot_id = new_id()
    before = REFUSED.labels(why)._value.get()
    refs = [ref(ArtifactKind.VIDEO, path), ref(ArtifactKind.AUDIO, "output.flac")]
    kept = await artifacts.store_files(bot_id, recording, refs)
    assert [one.path for one in kept] == ["output.flac"]
    assert REFUSED.labels(why)._value.get() == before + 1
    assert [found.key async for found in artifacts.store.list(f"bots/{bot_id}")] == [
        f"bots/{bot_id}/output.flac"
    ]


async def test_a_store_that_is_away_is_no_reason_to_lose_a_file(
    recording: Path, clock: MovedClock
) -> None:
    class Away(FakeObjectStore):
        async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
            raise RetriableError("away")

    artifacts = Artifacts(
        store=Away(), keyring=Keyring([new_key()]), public_url="http://x", clock=clock
    )
    with pytest.raises(RetriableError):
        await artifacts.store_files(new_id(), recording, FILES)


async def test_screenshots_come_in_pages_both_ways(
    database: Database, artifacts: Artifacts, recording: Path
) -> None:
    bot_id = await stored(database, artifacts, recording)
    async with database.transaction() as session:

        async def numbers(limit: int, **place: int) -> list[int]:
            found = await artifacts.screenshots(session, bot_id, limit=limit, **place)
            return [shot.number for shot in found]

        assert await numbers(3) == [1, 2, 3]
        assert await numbers(3, after=3) == [4, 5, 6]
        assert await numbers(3, after=6) == [7]
        assert await numbers(3, before=4) == [3, 2, 1]
        assert await numbers(3, before=1) == []


async def test_a_file_made_here_is_stored_too(database: Database, artifacts: Artifacts) -> None:
    bot_id = new_id()
    made = await artifacts.store_bytes(
        bot_id, ArtifactKind.TRANSCRIPTION, "output_transcription.json", b"{}"
    )
    async with database.transaction() as session:
        await artifacts.add(session, bot_id, [made])
        (found,) = await artifacts.find(session, bot_id, ArtifactKind.TRANSCRIPTION)
        assert (found.size, found.content_type) == (2, "application/json")


async def test_the_stores_own_address_is_preferred(
    database: Database, recording: Path, clock: MovedClock
) -> None:
    class Presigning(FakeObjectStore):
        async def presigned_url(self, key: str, *, expires_in: timedelta) -> str | None:
            return f"https://bucket.test/{key}?seconds={expires_in.total_seconds():.0f}"

    artifacts = Artifacts(
        store=Presigning(), keyring=Keyring([new_key()]), public_url="http://x", clock=clock
    )
    bot_id = await stored(database, artifacts, recording)
    assert (
        await video_url(database, artifacts, bot_id)
        == f"https://bucket.test/bots/{bot_id}/output.mp4?seconds=14400"
    )


async def test_a_download(
    database: Database, artifacts: Artifacts, recording: Path, client: httpx.AsyncClient
) -> None:
    bot_id = await stored(database, artifacts, recording)
    answer = await client.get(await video_url(database, artifacts, bot_id))
    assert (answer.status_code, answer.content) == (200, VIDEO)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(len(VIDEO))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"] == 'inline; filename="output.mp4"'
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=499990-", 499_990, 500_000), ("bytes=-5", 499_995, 500_000)],
)
async def test_a_range(
    database: Database,
    artifacts: Artifacts,
    recording: Path,
    client: httpx.AsyncClient,
    asked: str,
    start: int,
    end: int,
) -> None:
    bot_id = await stored(database, artifacts, recording)
    url = await video_url(database, artifacts, bot_id)
    answer = await client.get(url, headers={"range": asked})
    assert (answer.status_code, answer.content) == (206, VIDEO[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(VIDEO)}"
    head = await client.head(url, headers={"range": asked})
    assert (head.status_code, head.content) == (206, b"")
    assert head.headers["content-length"] == str(end - start)


async def test_ranges_that_are_none(
    database: Database, artifacts: Artifacts, recording: Path, client: httpx.AsyncClient
) -> None:
    bot_id = await stored(database, artifacts, recording)
    url = await video_url(database, artifacts, bot_id)
    answer = await client.get(url, headers={"range": "bytes=500000-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */500000")
    for asked in ("bytes=0-1,4-5", "lines=1-2", "bytes=9-3"):
        answer = await client.get(url, headers={"range": asked})
        assert (answer.status_code, len(answer.content)) == (200, len(VIDEO))


async def test_conditional_requests(
    database: Database,
    artifacts: Artifacts,
    recording: Path,
    client: httpx.AsyncClient,
    clock: MovedClock,
) -> None:
    bot_id = await stored(database, artifacts, recording)
    url = await video_url(database, artifacts, bot_id)
    etag = (await client.head(url)).headers["etag"]
    again = await client.get(url, headers={"if-none-match": f'"other", {etag}'})
    assert (again.status_code, again.content) == (304, b"")
    resumed = await client.get(url, headers={"range": "bytes=5-", "if-range": etag})
    assert resumed.status_code == 206
    clock.time += timedelta(minutes=1)
    refs = await artifacts.store_files(bot_id, recording, FILES[:1])
    async with database.transaction() as session:
        await artifacts.add(session, bot_id, refs)
    changed = await client.get(url, headers={"range": "bytes=5-", "if-range": etag})
    assert (changed.status_code, len(changed.content)) == (200, len(VIDEO))


async def test_a_page_the_bot_saw_is_not_shown_as_ours(
    database: Database, artifacts: Artifacts, recording: Path, client: httpx.AsyncClient
) -> None:
    bot_id = await stored(database, artifacts, recording)
    async with database.transaction() as session:
        pages = await artifacts.find(session, bot_id, ArtifactKind.UNEXPECTED)
        url = await artifacts.url(pages[0])
    answer = await client.head(url)
    assert answer.headers["content-disposition"] == 'attachment; filename="page.html"'
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_an_address_works_until_its_time_is_over(
    database: Database,
    artifacts: Artifacts,
    recording: Path,
    client: httpx.AsyncClient,
    clock: MovedClock,
) -> None:
    url = await video_url(database, artifacts, await stored(database, artifacts, recording))
    clock.time += LINK_LIFETIME - timedelta(seconds=1)
    assert (await client.head(url)).status_code == 200
    clock.time += timedelta(seconds=1)
    late = await client.get(url)
    assert (late.status_code, late.json()["code"]) == (403, "FST_ERR_FORBIDDEN")


async def test_a_tampered_address_is_refused(
    database: Database, artifacts: Artifacts, recording: Path, client: httpx.AsyncClient
) -> None:
    url = await video_url(database, artifacts, await stored(database, artifacts, recording))
    path, _, signature = url.partition("?signature=")
    for bad in (
        path,
        f"{path}?signature=",
        f"{path}?signature={signature[:-1]}",
        f"{path}?signature=9{signature}",
        url.replace("output.mp4", "output.flac"),
        url.replace("output.mp4", "../../secret"),
        url.replace("output.mp4", "output.mp4%00"),
    ):
        answer = await client.get(bad)
        assert answer.status_code == 403, bad


async def test_deleted_artifacts_are_gone_at_once_and_for_good(
    database: Database, artifacts: Artifacts, recording: Path, client: httpx.AsyncClient
) -> None:
    bot_id = await stored(database, artifacts, recording)
    other = await stored(database, artifacts, recording)
    url = await video_url(database, artifacts, bot_id)
    # An upload whose row was never written.
    await artifacts.store.put_bytes(f"bots/{bot_id}/late", b"x", content_type="text/plain")
    async with database.transaction() as session:
        await artifacts.mark_deleted(session, bot_id)
    assert (await client.get(url)).status_code == 404
    async with database.transaction() as session:
        assert await artifacts.links(session, bot_id) == {}
        assert await artifacts.screenshots(session, bot_id, limit=10) == []
        rows = (await session.scalars(select(Artifact).where(Artifact.bot_id == bot_id))).all()
        assert all(row.deleted_at is not None for row in rows)
        assert {row.participant_id for row in rows} == {None}
    for _ in range(2):
        await artifacts.purge(bot_id)
    assert [found async for found in artifacts.store.list(f"bots/{bot_id}")] == []
    assert (await client.get(await video_url(database, artifacts, other))).status_code == 200


async def test_a_file_that_vanished_is_a_404_and_an_absent_store_a_503(
    database: Database, artifacts: Artifacts, recording: Path, client: httpx.AsyncClient
) -> None:
    bot_id = await stored(database, artifacts, recording)
    url = await video_url(database, artifacts, bot_id)
    await artifacts.store.delete(f"bots/{bot_id}/output.mp4")
    assert (await client.get(url)).status_code == 404

    class Away(FakeObjectStore):
        async def head(self, key: str) -> StoredObject:
            raise RetriableError("away")

    artifacts._store = Away()
    assert (await client.get(url)).status_code == 503


async def test_a_stored_file_is_fetched_to_where_it_is_worked_on(
    artifacts: Artifacts, recording: Path, tmp_path: Path
) -> None:
    bot_id, target = new_id(), tmp_path / "fetched"
    await artifacts.store_files(bot_id, recording, FILES)
    await artifacts.fetch(bot_id, "output.mp4", target)
    assert await asyncio.to_thread(target.read_bytes) == VIDEO
    with pytest.raises(ObjectNotFoundError):
        await artifacts.fetch(bot_id, "none.flac", target)
    with pytest.raises(ValueError, match="key"):
        await artifacts.fetch(bot_id, "../other/output.mp4", target)
