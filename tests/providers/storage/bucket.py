"""An S3 that runs here: moto's server, which stores and lists but checks no signature."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import httpx
from moto.server import ThreadedMotoServer

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "eu-central-1",
}


@contextmanager
def s3_server() -> Iterator[str]:
    """The endpoint of a server with an empty bucket ``recordings``."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()
        client(endpoint).create_bucket(
            Bucket="recordings", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield endpoint
    finally:
        server.stop()


def client(endpoint: str) -> Any:
    """Another client than ours, to see what is there."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=CREDENTIALS["AWS_REGION"],
    )
