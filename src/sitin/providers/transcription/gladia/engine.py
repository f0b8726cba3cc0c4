"""Transcription by Gladia, pre-recorded API version 2. Built by the registry of engines."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from sitin.contract.codes import EndReason
from sitin.contract.failures import ActionRequiredError, PermanentError, RetriableError
from sitin.contract.transcription import EngineCapabilities, JobFailedError, Transcription
from sitin.kit.clock import Clock, SystemClock
from sitin.kit.tls import trusted
from sitin.providers.transcription.gladia.answers import GoneError, failure_of
from sitin.providers.transcription.gladia.wire import (
    CreateResponse,
    UploadResponse,
    WireJob,
    WirePage,
    to_transcription,
)

# The vendor takes 135 minutes; chunks are of two hours.
CHUNK_SECONDS = 7200.0
# Two hours of talk with sentences, subtitles and translations stay far below this.
LARGEST_ANSWER = 128 * 1024 * 1024
LARGEST_COMPLAINT = 64 * 1024
DELETION_RETRY_SECONDS = 60.0
PAGE_SIZE = 20
MOST_PAGES = 100

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
# The vendor's own client waits as long: it looks at the whole file before it answers.
_UPLOAD_TIMEOUT = httpx.Timeout(60.0, connect=10.0, read=300.0)

M = TypeVar("M", bound=BaseModel)


class GladiaEngine:
    """A ``RemoteEngine``. ``aclose`` closes its connections.

    Args:
        url: The API's address without a path.
        api_key: The install's key; without one only requests with a key of their own are served.
        clock: Tells the time.
        chunk_seconds: Longest audio it is given at once.
    """

    def __init__(
        self,
        *,
        url: str,
        api_key: str | None = None,
        clock: Clock | None = None,
        chunk_seconds: float = CHUNK_SECONDS,
    ) -> None:
        self._api_key = api_key
        self._chunk_seconds = chunk_seconds
        self._clock = clock or SystemClock()
        # Redirects stay unfollowed: the key would go along.
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/"), verify=trusted(), timeout=_TIMEOUT, follow_redirects=False
        )

    @property
    def capabilities(self) -> EngineCapabilities:
        """The mix, a chunk at a time; voices are told apart by number."""
        return EngineCapabilities(
            name="gladia", per_participant=False, max_duration=self._chunk_seconds
        )

    @property
    def has_key(self) -> bool:
        """Whether the install has a key of its own."""
        return self._api_key is not None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def upload(self, audio: Path, *, api_key: str | None) -> str:
        """``POST /v2/upload``."""
        with audio.open("rb") as file:
            answer = await self._ask(
                "POST",
                "/v2/upload",
                doing="take the audio",
                api_key=api_key,
                files={"audio": (audio.name, file, "audio/flac")},
                timeout=_UPLOAD_TIMEOUT,
            )
        return _read(UploadResponse, answer).audio_url

    async def create(self, upload: str, *, params: Mapping[str, Any], api_key: str | None) -> str:
        """``POST /v2/pre-recorded``, with diarization unless the customer says otherwise."""
        own = {key: value for key, value in params.items() if not _leads_elsewhere(key)}
        body = {"diarization": True, **own, "audio_url": upload}
        try:
            # ASCII: a customer's lone surrogate is escaped rather than refused here.
            content = json.dumps(body, allow_nan=False).encode("ascii")
        except ValueError as error:
            raise PermanentError(
                "custom_params holds a number that JSON cannot carry.",
                code=EndReason.TRANSCRIPTION_FAILED,
            ) from error
        answer = await self._ask(
            "POST",
            "/v2/pre-recorded",
            doing="start the transcription",
            api_key=api_key,
            content=content,
            headers={"content-type": "application/json"},
            timeout=_TIMEOUT,
        )
        return _read(CreateResponse, answer).id

    async def find(self, upload: str, *, since: datetime, api_key: str | None) -> str | None:
        """``GET /v2/pre-recorded``, page by page: each job tells the ``audio_url`` it was given."""
        # A minute of grace for clocks that differ.
        after = (since - timedelta(minutes=1)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for page_number in range(MOST_PAGES):
            answer = await self._ask(
                "GET",
                "/v2/pre-recorded",
                doing="list its transcriptions",
                api_key=api_key,
                params={
                    "after_date": after,
                    "limit": str(PAGE_SIZE),
                    "offset": str(page_number * PAGE_SIZE),
                },
                timeout=_TIMEOUT,
            )
            page = _read(WirePage, answer)
            for job in page.items:
                if job.request_params is not None and job.request_params.audio_url == upload:
                    return job.id
            if page.next is None or not page.items:
                return None
        return None

    async def result(self, job_id: str, *, api_key: str | None) -> Transcription | None:
        """``GET /v2/pre-recorded/{id}``."""
        answer = await self._ask(
            "GET",
            _path(job_id),
            doing="tell how far the transcription is",
            api_key=api_key,
            timeout=_TIMEOUT,
        )
        job = _read(WireJob, answer)
        if job.status in {"queued", "processing"}:
            return None
        if job.status == "error":
            raise _job_failure(job)
        if job.result is None:
            raise RetriableError("Gladia says that the transcription is done and gives none.")
        return to_transcription(job.result, from_json(answer))

    async def delete(self, job_id: str, *, api_key: str | None) -> None:
        """``DELETE /v2/pre-recorded/{id}``; 403 is its way to say "not yet"."""
        try:
            await self._ask(
                "DELETE",
                _path(job_id),
                doing="delete the transcription",
                api_key=api_key,
                timeout=_TIMEOUT,
                not_yet=403,
            )
        except GoneError:
            return

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        api_key: str | None,
        not_yet: int | None = None,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> bytes:
        key = api_key or self._api_key
        if key is None:
            raise ActionRequiredError(
                "No Gladia key: set SITIN_GLADIA_API_KEY or give one with the request.",
                by="operator",
            )
        try:
            async with self._client.stream(
                method, path, headers={"x-gladia-key": key, **(headers or {})}, **request
            ) as response:
                if response.is_success:
                    return await _body(response, LARGEST_ANSWER)
                if response.status_code == not_yet:
                    raise RetriableError(
                        f"Gladia does not {doing} yet.", after=DELETION_RETRY_SECONDS
                    )
                raise failure_of(
                    response,
                    await _body(response, LARGEST_COMPLAINT, cut=True),
                    doing=doing,
                    own_key=api_key is not None,
                    now=self._clock.now(),
                )
        except httpx.TransportError as error:
            raise RetriableError(f"Gladia could not be reached to {doing}.") from error
        except httpx.InvalidURL as error:
            raise PermanentError(
                f"Gladia could not be asked to {doing}.", code=EndReason.TRANSCRIPTION_FAILED
            ) from error


def _leads_elsewhere(param: str) -> bool:
    return param == "audio_url" or param.startswith("callback")


def _path(job_id: str) -> str:
    # The id was the provider's word: it must not become another path.
    if not job_id or not all(c.isalnum() or c in "-_" for c in job_id):
        raise PermanentError(
            "Gladia gave an id that cannot be one.", code=EndReason.TRANSCRIPTION_FAILED
        )
    return f"/v2/pre-recorded/{job_id}"


def _job_failure(job: WireJob) -> JobFailedError | PermanentError:
    code = job.error_code
    if code is not None and 400 <= code < 500 and code not in {408, 425, 429}:
        return PermanentError(
            f"Gladia could not transcribe this audio (code {code}).",
            code=EndReason.TRANSCRIPTION_FAILED,
        )
    return JobFailedError(f"Gladia gave up on this transcription (code {code}).")


async def _body(response: httpx.Response, largest: int, *, cut: bool = False) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > largest:
            if cut:
                return bytes(body[:largest])
            raise PermanentError(
                "Gladia's answer is larger than any transcript is.",
                code=EndReason.TRANSCRIPTION_FAILED,
            )
    return bytes(body)


def _read(model: type[M], answer: bytes) -> M:
    """Parse an answer; nonsense may be a gateway's page in between, so it is worth another try."""
    try:
        return model.model_validate_json(answer)
    except ValidationError as error:
        raise RetriableError("Gladia's answer is not what its API promises.") from error
