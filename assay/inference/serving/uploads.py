"""What a request to /predict holds: images as multipart, as JSON with base64, or one as the body itself.

The body is counted while it comes in, whatever its header promises, and kept in memory: nothing is written to a disk.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from assay.inference.serving.limits import MEGA, Limits, Refused


@dataclass(frozen=True, kw_only=True)
class Upload:
    name: str
    content: bytes


async def read(request: Request, limits: Limits) -> list[Upload]:
    """Return the images of a request, at least one; raises `Refused`."""
    try:
        body = await asyncio.wait_for(_body(request, limits), limits.upload_s)
    except TimeoutError:
        raise Refused(408, f"the body did not come in {limits.upload_s:g} s") from None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        found = await _multipart(request.headers, body, limits)
    elif kind == "application/json":
        found = _json(body)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        found = [Upload(name="image", content=body)]
    else:
        raise Refused(415, f"{kind or 'no type'}: must be multipart/form-data, application/json or image/*")
    if not found:
        raise Refused(422, 'no image: a form has them as files, JSON as {"images": ["<base64>"]}')
    if len(found) > limits.images:
        raise Refused(413, f"{len(found)} images, at most {limits.images} in a request")
    return found


async def _body(request: Request, limits: Limits) -> bytes:
    parts, size = [], 0
    promised = request.headers.get("content-length", "")
    if promised.isdigit() and int(promised) > limits.body_bytes:
        raise Refused(413, _too_large(limits))
    async for part in request.stream():
        size += len(part)
        if size > limits.body_bytes:
            raise Refused(413, _too_large(limits))
        parts.append(part)
    return b"".join(parts)


def _too_large(limits: Limits) -> str:
    return f"the body is larger than {limits.body_bytes / MEGA:g} MB (assay serve --max-mb)"


async def _multipart(headers: Headers, body: bytes, limits: Limits) -> list[Upload]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(headers, stream(), max_files=limits.images + 1, max_fields=8)
    parser.spool_max_size = limits.body_bytes + 1  # else files above 1 MB go to a disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refused(422, f"multipart: {error.message}") from None
    except (ValueError, KeyError, UnicodeError, LookupError) as error:
        raise Refused(422, f"multipart: {error}") from None
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    found = [Upload(name=each.filename or "image", content=await each.read()) for each in files]
    await form.close()
    return found


def _json(body: bytes) -> list[Upload]:
    try:
        said = json.loads(body)
        images = said["images"]
        if not isinstance(images, list):
            raise TypeError
        return [_decoded(each, number) for number, each in enumerate(images)]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Refused(422, 'JSON: must be {"images": ["<base64>", {"name": "a.jpg", "content": "<base64>"}]}') from None


def _decoded(each: Any, number: int) -> Upload:
    name, content = (each["name"], each["content"]) if isinstance(each, dict) else (f"image {number}", each)
    if not isinstance(name, str) or not isinstance(content, str):
        raise TypeError
    try:
        return Upload(name=name, content=base64.b64decode(content.rpartition("base64,")[2], validate=True))
    except binascii.Error as error:
        raise ValueError(str(error)) from None
