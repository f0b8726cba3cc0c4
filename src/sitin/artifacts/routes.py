"""The download of artifacts that the object store gives no address for. Included by ``api.app``.

Expects ``app.state.database`` (``Database``) and ``app.state.artifacts`` (``Artifacts``).
"""

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from sitin.artifacts.errors import ArtifactNotFoundError, LinkRefusedError, StoreAwayError
from sitin.artifacts.models import Artifact
from sitin.artifacts.ranges import UnsatisfiableRangeError, requested_range
from sitin.artifacts.service import ROUTE, Artifacts, by_key
from sitin.contract.failures import AdapterError
from sitin.contract.storage import ObjectNotFoundError
from sitin.kit.crypto import SignatureError, SignatureExpiredError
from sitin.kit.database import Database

# The contract names no such operation, so the document does not either.
router = APIRouter(include_in_schema=False)


@router.api_route(ROUTE + "/{key:path}", methods=["GET", "HEAD"])
async def download(request: Request, key: str, signature: str = "") -> Response:
    """Stream an artifact, or one range of it, to whoever has a signed address."""
    artifacts: Artifacts = request.app.state.artifacts
    _check(artifacts, key, signature)
    artifact = await _find(request, key)
    size = await _size(artifacts, key)

    headers = _headers(artifact)
    if _matches(request.headers.get("if-none-match"), headers["etag"]):
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range")
    if request.headers.get("if-range", headers["etag"]) != headers["etag"]:
        wanted = None
    try:
        part = requested_range(wanted, size)
    except UnsatisfiableRangeError:
        return Response(status_code=416, headers={"content-range": f"bytes */{size}"})

    start, end = (part.start, part.end) if part else (0, size)
    headers["content-length"] = str(end - start)
    if part:
        headers["content-range"] = part.content_range
    status = 206 if part else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    content = artifacts.store.read(key, start=start, end=end)
    return StreamingResponse(content, status_code=status, headers=headers)


def _check(artifacts: Artifacts, key: str, signature: str) -> None:
    try:
        artifacts.verify(key, signature)
    except SignatureExpiredError:
        raise LinkRefusedError(
            "This address has expired; fetch the bot again for a fresh one."
        ) from None
    except SignatureError:
        raise LinkRefusedError(
            "The signature of this address is wrong; use the address as the API gave it."
        ) from None


async def _find(request: Request, key: str) -> Artifact:
    database: Database = request.app.state.database
    # Ended before the first byte is sent: a slow reader holds no connection to the database.
    async with database.transaction() as session:
        artifact = await by_key(session, key)
    if artifact is None:
        raise _gone()
    return artifact


async def _size(artifacts: Artifacts, key: str) -> int:
    try:
        return (await artifacts.store.head(key)).size
    except ObjectNotFoundError:
        raise _gone() from None
    except AdapterError as error:
        raise StoreAwayError("The recordings cannot be read right now; try again later.") from error


def _headers(artifact: Artifact) -> dict[str, str]:
    name = artifact.key.rpartition("/")[2]  # a key's characters need no quoting
    # A page that a bot has seen must not run as one of ours.
    shown = "attachment" if artifact.content_type.startswith("text/html") else "inline"
    return {
        "accept-ranges": "bytes",
        "cache-control": "private",
        "content-disposition": f'{shown}; filename="{name}"',
        "content-security-policy": "sandbox; default-src 'none'",
        "content-type": artifact.content_type,
        "etag": f'"{artifact.id.hex}-{artifact.created_at.timestamp():.6f}"',
        "x-content-type-options": "nosniff",
    }


def _matches(header: str | None, etag: str) -> bool:
    candidates = [one.strip().removeprefix("W/") for one in (header or "").split(",")]
    return etag in candidates or "*" in candidates


def _gone() -> ArtifactNotFoundError:
    return ArtifactNotFoundError("This artifact has been deleted.")
