"""Storing what a bot recorded, and the addresses to fetch it by. Used by bots, transcripts, api.

Objects are written before their rows and deleted after them: a file without a row is found by its
bot's prefix, a row without a file would be a dead address. The work on objects takes no session,
so that no transaction waits for an upload.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.artifacts.models import Artifact
from sitin.contract.recording import ArtifactKind, ArtifactRef
from sitin.contract.storage import ObjectStore
from sitin.kit.clock import Clock
from sitin.kit.crypto import Keyring
from sitin.kit.files import UntrustedPathError, file_beneath
from sitin.kit.ids import new_id

LINK_LIFETIME = timedelta(hours=4)
PURPOSE = "download"
ROUTE = "/artifacts"

_LONGEST_PATH = 255  # characters; ours have twenty
_SINGLE = (
    ArtifactKind.VIDEO,
    ArtifactKind.AUDIO,
    ArtifactKind.DIARIZATION,
    ArtifactKind.RAW_TRANSCRIPTION,
    ArtifactKind.TRANSCRIPTION,
)
_CONTENT_TYPES = {
    ".flac": "audio/flac",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".mp4": "video/mp4",
    ".png": "image/png",
}

REFUSED = Counter(
    "sitin_artifacts_refused_total", "Files of a recording that were not stored, by why.", ["why"]
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Screenshot:
    """A screenshot that can be fetched.

    Attributes:
        number: 1-based.
        url: Valid for ``LINK_LIFETIME``.
    """

    number: int
    url: str


class Artifacts:
    """The stored artifacts of all bots.

    Args:
        store: Where the files are.
        keyring: Signs addresses of files that the store itself gives none for.
        public_url: What such addresses begin with, as customers reach it.
        clock: Tells when an address ends.
    """

    def __init__(
        self, *, store: ObjectStore, keyring: Keyring, public_url: str, clock: Clock
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._public_url = public_url.rstrip("/")
        self._clock = clock

    @property
    def store(self) -> ObjectStore:
        """Where the files are."""
        return self._store

    async def store_files(
        self, bot_id: UUID, directory: Path, files: Iterable[ArtifactRef]
    ) -> list[ArtifactRef]:
        """Store files of a recording directory; may be done again. Returns what to ``add``.

        The list comes from the bot's process and is not trusted: what leads out of the directory
        or is not there is left out, with a log line; size and type are found out here. Raises
        ``RetriableError`` and ``ActionRequiredError``.
        """
        stored = []
        for ref in files:
            try:
                path, size = await asyncio.to_thread(_trusted_file, directory, ref.path)
                kept = ref.model_copy(update={"size": size, "content_type": content_type(ref.path)})
                await self._store.put_file(
                    _key(bot_id, ref.path), path, content_type=kept.content_type
                )
            except FileNotFoundError:
                self._refuse(bot_id, ref, "missing")
            except ValueError:
                self._refuse(bot_id, ref, "untrusted")
            else:
                stored.append(kept)
        return stored

    async def store_bytes(
        self, bot_id: UUID, kind: ArtifactKind, path: str, data: bytes
    ) -> ArtifactRef:
        """Store a small file made here, under a path as in a recording directory."""
        ref = ArtifactRef(kind=kind, path=path, size=len(data), content_type=content_type(path))
        await self._store.put_bytes(_key(bot_id, path), data, content_type=ref.content_type)
        return ref

    async def fetch(self, bot_id: UUID, path: str, target: Path) -> None:
        """Write a stored file, named by its path in the recording directory, to ``target``.

        Streams. Raises ``ObjectNotFoundError`` of ``sitin.contract.storage``, ``RetriableError``
        and ``ActionRequiredError``, and ``ValueError`` for a path that no stored file can have.
        """
        with _new_file(target) as file:
            async for part in self._store.read(_key(bot_id, path)):
                await asyncio.to_thread(file.write, part)

    async def add(self, session: AsyncSession, bot_id: UUID, refs: Sequence[ArtifactRef]) -> None:
        """Note stored files; a file that was noted before is noted anew."""
        if not refs:
            return
        now = self._clock.now()
        # Of two references to one file the last counts; one statement must not meet a row twice.
        rows = {
            (key := _key(bot_id, ref.path)): {
                "id": new_id(),
                "bot_id": bot_id,
                "kind": ref.kind,
                "key": key,
                "size": ref.size,
                "content_type": ref.content_type,
                "participant_id": ref.participant_id,
                "number": ref.number,
                "created_at": now,
                "deleted_at": None,
            }
            for ref in refs
        }
        statement = insert(Artifact).values(list(rows.values()))
        renewed = {
            column.name: statement.excluded[column.name]
            for column in Artifact.__table__.columns
            if column.name not in ("id", "bot_id", "key")
        }
        await session.execute(
            statement.on_conflict_do_update(index_elements=[Artifact.key], set_=renewed)
        )

    async def find(
        self, session: AsyncSession, bot_id: UUID, kind: ArtifactKind
    ) -> Sequence[Artifact]:
        """The bot's artifacts of a kind that are not deleted, by number."""
        return (await session.scalars(_present(bot_id, kind).order_by(Artifact.number))).all()

    async def links(self, session: AsyncSession, bot_id: UUID) -> Mapping[ArtifactKind, str]:
        """A fresh address for each artifact of which a bot has one; without what it has not."""
        found = await session.scalars(_present(bot_id, *_SINGLE))
        return {ArtifactKind(artifact.kind): await self.url(artifact) for artifact in found}

    async def screenshots(
        self,
        session: AsyncSession,
        bot_id: UUID,
        *,
        limit: int,
        after: int | None = None,
        before: int | None = None,
    ) -> list[Screenshot]:
        """Up to ``limit`` screenshots after a number, or before one with the nearest first."""
        query = _present(bot_id, ArtifactKind.SCREENSHOT).where(Artifact.number.is_not(None))
        if before is not None:
            query = query.where(Artifact.number < before).order_by(Artifact.number.desc())
        else:
            query = query.where(Artifact.number > (after or 0)).order_by(Artifact.number)
        found = await session.scalars(query.limit(limit))
        return [Screenshot(shot.number or 0, await self.url(shot)) for shot in found]

    async def url(self, artifact: Artifact) -> str:
        """An address that works without a key for ``LINK_LIFETIME``."""
        presigned = await self._store.presigned_url(artifact.key, expires_in=LINK_LIFETIME)
        if presigned is not None:
            return presigned
        until = self._clock.now() + LINK_LIFETIME
        signature = self._keyring.sign(PURPOSE, artifact.key, until=until)
        return f"{self._public_url}{ROUTE}/{artifact.key}?signature={signature}"

    async def mark_deleted(self, session: AsyncSession, bot_id: UUID) -> None:
        """Take all of a bot's artifacts from the customer; ``purge`` has to follow."""
        await session.execute(
            update(Artifact)
            .where(Artifact.bot_id == bot_id, Artifact.deleted_at.is_(None))
            .values(deleted_at=self._clock.now(), participant_id=None)
        )

    async def purge(self, bot_id: UUID) -> None:
        """Delete every object of a bot, noted or not; may be done again.

        Raises ``RetriableError`` and ``ActionRequiredError``.
        """
        async for found in self._store.list(f"bots/{bot_id}"):
            await self._store.delete(found.key)

    def verify(self, key: str, signature: str) -> None:
        """Raise ``SignatureError`` unless the address was signed here and is in time."""
        self._keyring.verify(signature, PURPOSE, key, now=self._clock.now())

    def _refuse(self, bot_id: UUID, ref: ArtifactRef, why: str) -> None:
        REFUSED.labels(why).inc()
        log.error("artifact_refused", bot=str(bot_id), path=ref.path, kind=ref.kind, why=why)


async def by_key(session: AsyncSession, key: str) -> Artifact | None:
    """The artifact of a key, unless it is deleted."""
    return (
        await session.scalars(
            select(Artifact).where(Artifact.key == key, Artifact.deleted_at.is_(None))
        )
    ).one_or_none()


def content_type(path: str) -> str:
    """The type of a file by its name; what the file's writer says of it is not believed."""
    return _CONTENT_TYPES.get(Path(path).suffix, "application/octet-stream")


def _trusted_file(directory: Path, relative: str) -> tuple[Path, int]:
    if len(relative) > _LONGEST_PATH:
        raise UntrustedPathError(f"a path of {len(relative)} characters")
    path = file_beneath(directory, relative)
    return path, path.stat().st_size


def _key(bot_id: UUID, path: str) -> str:
    return f"bots/{bot_id}/{path}"


def _present(bot_id: UUID, *kinds: ArtifactKind) -> Select[Artifact]:
    return select(Artifact).where(
        Artifact.bot_id == bot_id, Artifact.kind.in_(kinds), Artifact.deleted_at.is_(None)
    )


def _new_file(path: Path) -> BinaryIO:
    # Opened at once and not in a thread: being cancelled meanwhile would leave it open.
    return path.open("wb")
