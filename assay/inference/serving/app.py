"""The server: a page for people, /predict for programs, and what those who run it ask.

Everything that a request may cost is bounded (limits.py), decoding and answering happen in threads, and a request is
answered by the classifier that was in use when it began.
"""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect

from assay.inference.classifier import Classifier
from assay.inference.neighbours import Pictures
from assay.inference.serving import answer, uploads
from assay.inference.serving.answered import Log
from assay.inference.serving.current import Current
from assay.inference.serving.desk import Desk
from assay.inference.serving.limits import Limits, Refused
from assay.inference.serving.measured import Measured

PAGE = Path(__file__).with_name("page")
FILES = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
OPEN = {"/healthz", "/readyz", *FILES}  # without a token
LOOK_S = 5.0  # between two looks for a newer classifier
# Nothing from elsewhere may run in the page, and no other page may show it in a frame.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"images": {"type": "array", "items": {"type": "string", "format": "binary"}}},
            }
        },
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["images"],
                "properties": {"images": {"type": "array", "items": {"type": "string", "format": "byte"}}},
            },
            "example": {"images": ["iVBORw0KGgo…", {"name": "cat.jpg", "content": "/9j/4AAQ…"}]},
        },
        "image/*": {"schema": {"type": "string", "format": "binary"}},
    },
}
EXAMPLE = {
    "version": "v0.0.3",
    "sha256": "5f0c…",
    "images": [
        {
            "name": "cat.jpg",
            "label": "cat",
            "probability": 0.97,
            "top": [{"label": "cat", "probability": 0.97}, {"label": "dog", "probability": 0.03}],
            "ordinary": True,
            "reasons": [],
            "problem": None,
        }
    ],
}


@dataclass(frozen=True, kw_only=True)
class Server:
    """What the routes share."""

    current: Current
    desk: Desk
    limits: Limits
    pictures: Pictures
    log: Log
    measured: Measured


def create(
    current: Current, *, limits: Limits, pictures: Pictures, log: Log, token: str | None, hosts: frozenset[str] | None
) -> FastAPI:
    """Return the application; `hosts`: the names that a request may call this server by, None for any."""
    desk = Desk(limits)
    server = Server(
        current=current, desk=desk, limits=limits, pictures=pictures, log=log, measured=Measured(current, desk)
    )

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(_follow(current))
        yield
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await asyncio.to_thread(desk.close)

    app = FastAPI(
        title="Assay", summary="What the classifier sees in images.", docs_url=None, redoc_url=None, lifespan=running
    )
    _guard(app, token, hosts)
    _pages(app)
    _asked(app, server)

    @app.post(
        "/predict",
        openapi_extra={"requestBody": BODY},
        responses={
            200: {"content": {"application/json": {"example": EXAMPLE}}},
            **{status: {"description": text} for status, text in STATUSES.items()},
        },
    )
    async def predict(
        request: Request,
        top: Annotated[int, Query(ge=1, le=1000, description="classes of each image")] = 3,
        explain: Annotated[bool, Query(description="heat map and nearest train images too")] = False,
    ) -> Response:
        """Say what is in each image: as files of a form, as JSON with base64, or one image as the body."""
        began = time.perf_counter()
        response = await _answered(request, server, top, explain)
        server.measured.requests.labels(response.status_code).inc()
        server.measured.seconds.observe(time.perf_counter() - began)
        return response

    return app


STATUSES = {
    408: "the body took too long",
    413: "more bytes or images than allowed",
    415: "another kind of body",
    422: "no image in the body",
    503: "not ready, or too many requests",
}


async def _follow(current: Current) -> None:
    await asyncio.to_thread(current.warm)
    while True:
        await asyncio.sleep(LOOK_S)
        await asyncio.to_thread(current.look)


async def _answered(request: Request, server: Server, top: int, explain: bool) -> Response:
    try:
        if not server.current.is_ready:
            raise Refused(503, "not ready yet")
        with server.desk.place() as place:
            given = await uploads.read(request, server.limits)
            classifier = server.current.classifier
            said = await server.desk.work(place, lambda: _say(server, classifier, given, top, explain))
        return JSONResponse({"version": classifier.version, "sha256": classifier.sha256, "images": said})
    except Refused as error:
        headers = {"retry-after": "1"} if error.status == 503 else {}
        # What was not read of the body would be taken for the next request.
        return JSONResponse({"detail": error.text}, error.status, headers | {"connection": "close"})
    except ClientDisconnect:
        return Response(status_code=499)  # nobody reads it; nginx counts such requests so


def _say(
    server: Server, classifier: Classifier, given: list[uploads.Upload], top: int, explain: bool
) -> list[dict[str, Any]]:
    max_pixels = server.limits.pixels
    more: list[dict[str, Any]] = [{}] * len(given)
    if explain:
        found, more = answer.explained(classifier, given, server.pictures, top=top, max_pixels=max_pixels)
    else:
        found = answer.predicted(classifier, given, top=top, max_pixels=max_pixels)
    server.measured.count(classifier, found)
    for upload, prediction in zip(given, found, strict=True):
        server.log.add(classifier.version, upload.content, prediction)
    return [answer.as_json(each) | beside for each, beside in zip(found, more, strict=True)]


def _guard(app: FastAPI, token: str | None, hosts: frozenset[str] | None) -> None:
    """Ask for the token, refuse requests that were meant for another name, and set the headers."""

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        path = request.url.path
        response: Response
        if hosts is not None and request.url.hostname not in hosts:
            # A page elsewhere can have its own name lead here (DNS rebinding), but cannot change this header.
            response = JSONResponse({"detail": f"this server is not {request.url.hostname}"}, 421)
        elif token is not None and path not in OPEN and not _knows(request, token):
            response = JSONResponse({"detail": "wrong or no token"}, 401, {"www-authenticate": "Bearer"})
        else:
            response = await call_next(request)
        response.headers.update(HEADERS)
        return response


def _knows(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "")
    return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


def _pages(app: FastAPI) -> None:
    def page(name: str, kind: str) -> Callable[[], Response]:
        content = (PAGE / name).read_bytes()
        return lambda: Response(content, media_type=kind)

    for path, (name, kind) in FILES.items():
        app.get(path, include_in_schema=False)(page(name, kind))


def _asked(app: FastAPI, server: Server) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "alive"}

    @app.get("/readyz", responses={503: {"description": "not yet"}})
    async def readyz() -> JSONResponse:
        """The classifier is loaded and warm."""
        classifier = server.current.classifier
        said: dict[str, Any] = {"version": classifier.version, "sha256": classifier.sha256}
        about = classifier.about
        said |= {"model": about.model, "task": about.task, "classes": list(about.classes)}
        return JSONResponse(said, 200 if server.current.is_ready else 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(server.measured.text(), media_type=CONTENT_TYPE_LATEST)
