"""MONAI Label's web application for several annotators: threads, limits and plain messages."""

from __future__ import annotations

import asyncio
import errno
import inspect
import json
import logging
import os
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pydantic
from fastapi import FastAPI, HTTPException
from monailabel.config import settings
from monailabel.endpoints import (
    activelearning,
    batch_infer,
    datastore,
    infer,
    info,
    login,
    logs,
    model,
    session,
    train,
    wsi_infer,
)
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException, MONAILabelException
from monailabel.interfaces.utils.app import app_instance
from monailabel.utils.async_tasks.utils import tasks
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from monai_seunet.utils.errors import find_input_error

MAX_UPLOAD = int(float(os.environ.get("SEUNET_LABEL_MAX_UPLOAD_MB", "512")) * 2**20)
HOSTS = os.environ.get("SEUNET_LABEL_HOSTS", "127.0.0.1,localhost").split(",")
# The routers for radiology and for reloading are left out. CORS stays off: it would admit scripts of any web page.
ROUTERS = (
    *(info.router, infer.router, wsi_infer.router, batch_infer.router, train.router, activelearning.router),
    *(datastore.router, session.router, logs.router, model.router),
)
# Only trainings on this server change the weights, and only the owner of the folder removes images.
CLOSED = {
    *(("PUT", "/model/{model}"), ("DELETE", "/model/{model}"), ("GET", "/logs/gpu"), ("GET", "/datastore/dataset")),
    *(("DELETE", "/datastore/"), ("DELETE", "/datastore/image")),
}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

logger = logging.getLogger(__name__)


def problem_of(error: BaseException) -> tuple[int, str]:
    """Return the HTTP status and the message of an error; an error that the client can correct has a status 4xx."""
    input_error = find_input_error(error)
    if input_error is not None:
        instance = app_instance()
        text = str(input_error)
        for folder in (instance.workspace.scratch, instance.studies):  # clients must not learn paths of the server
            text = text.replace(f"{folder}/", "")
        return 400, text
    if isinstance(error, ImageNotFoundException | LabelNotFoundException):
        return 404, str(error.msg)
    if isinstance(error, MONAILabelException):
        return 400, str(error.msg)
    if isinstance(error, json.JSONDecodeError):
        return 400, f"params are not JSON ({error})"
    if isinstance(error, pydantic.ValidationError):
        first = error.errors()[0]
        return 422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, OSError) and error.errno in FULL:
        return 507, "the disk of the server is full; tell its administrator"
    number = uuid.uuid4().hex[:8]
    logger.exception("error %s", number, exc_info=error)
    return 500, f"unexpected error of the server; see error {number} in its log"


def in_thread(endpoint: Callable[..., Awaitable[Any]], check: Callable[..., None] | None) -> Callable[..., Any]:
    """Wrap an endpoint of MONAI Label so that it runs in a thread and answers errors with plain messages.

    MONAI Label's endpoints are coroutines that never wait, so one inference would block all other clients.
    """

    def answer(**arguments: Any) -> Any:
        try:
            check_objects(**arguments)
            with JOBS if check in STARTING else nullcontext():
                if check is not None:
                    check(**arguments)
                return asyncio.run(endpoint(**arguments))  # type: ignore[arg-type]
        except Exception as error:
            if "background_tasks" in arguments:  # they remove uploads; FastAPI runs them only after success
                asyncio.run(arguments["background_tasks"]())
            if isinstance(error, HTTPException):
                # MONAI Label answers 500 if the request lacks something
                raise HTTPException(400 if error.status_code == 500 else error.status_code, error.detail) from error
            status, message = problem_of(error)
            raise HTTPException(status, message) from error

    answer.__name__, answer.__doc__ = endpoint.__name__, endpoint.__doc__  # not functools.wraps: FastAPI would unwrap
    answer.__signature__ = inspect.signature(endpoint)  # type: ignore[attr-defined]
    return answer


def check_objects(**arguments: Any) -> None:
    """Refuse parameters that are not a JSON object, numbers that JSON does not allow, and synchronous jobs."""
    for name in ("params", "info", "wsi"):
        text = arguments.get(name)
        if isinstance(text, str) and text:
            try:
                content = json.loads(text, parse_constant=_refuse)
            except ValueError as error:
                raise HTTPException(400, f"{name} are not JSON ({error})") from error
            if not isinstance(content, dict):
                raise HTTPException(400, f"{name} are {text[:40]}; give an object such as {{}}")
    if arguments.get("run_sync"):
        raise HTTPException(400, "run_sync is not possible; jobs run in the background")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def check_free(job: str) -> None:
    """Refuse a second job of the same kind; MONAI Label itself does not see jobs whose process has not started yet."""
    if any(task["status"] in ("SUBMITTED", "RUNNING") for task in tasks(job)):
        raise HTTPException(429, f"{job.capitalize()} Task is Already Running")


def check_batch(model: str, params: dict[str, Any] | None = None, **_: Any) -> None:
    """Refuse a second batch inference."""
    check_job(model, params)
    check_free("batch_infer")


def check_job(model: str, params: dict[str, Any] | None = None) -> None:
    """Refuse a job for an unknown model or with an option that clients cannot choose."""
    trainers = app_instance().trainers
    if model not in trainers:
        raise HTTPException(404, f"model '{model}' does not exist; choose {', '.join(trainers)}")
    for name in {"model", "gpus", "bundle_path"} & set(params or {}):
        if name != "gpus" or not isinstance((params or {})[name], str):
            raise HTTPException(400, f"{name} cannot be chosen by a client; leave it out")


def check_training(model: str, params: dict[str, Any] | None = None, enqueue: bool | None = False, **_: Any) -> None:
    """Refuse a training that would fail at its start, and a second training unless it may wait in the queue."""
    check_job(model, params)
    if not enqueue:
        check_free("train")
    instance = app_instance()
    instance.trainers[model].check(params or {}, instance.datastore())


def check_session(uncompress: bool = False, files: Sequence[Any] = (), **_: Any) -> None:
    """Refuse series, and archives, because their unpacked size has no limit."""
    if uncompress or len(files) > 1:
        raise HTTPException(400, "archives and series are not accepted; send one image")


def check_sample(strategy: str, **_: Any) -> None:
    """Refuse an unknown strategy."""
    strategies = app_instance().info()["strategies"]
    if strategy not in strategies:
        raise HTTPException(404, f"strategy '{strategy}' does not exist; choose {', '.join(strategies)}")


CHECKS: dict[tuple[str, str], Callable[..., None]] = {
    ("POST", "/train/{model}"): check_training,
    ("POST", "/batch/infer/{model}"): check_batch,
    ("PUT", "/session/"): check_session,
    ("POST", "/activelearning/{strategy}"): check_sample,
}

STARTING = (check_training, check_batch)
JOBS = threading.Lock()  # held from the check for a running job until the new job has started


class SameSite:
    """Middleware that refuses requests from scripts and forms of other web pages; programs send no origin."""

    def __init__(self, inner: ASGIApp) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or refuse it."""
        headers = dict(scope.get("headers", []))
        origin = headers.get(b"origin", b"")
        if origin and origin.partition(b"://")[2] != headers.get(b"host"):
            refusal = PlainTextResponse("requests from other web pages are refused", 403)
            return await refusal(scope, receive, send)
        return await self.inner(scope, receive, send)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Load the network before the first request."""
    instance = app_instance()
    instance.server_mode(True)
    instance.on_init_complete()
    yield


def make_app() -> FastAPI:
    """Make the application; its root page documents all requests."""
    application = FastAPI(
        title="SEUNet in MONAI Label", docs_url="/", redoc_url=None, lifespan=lifespan, max_body_size=MAX_UPLOAD
    )
    for router in (*ROUTERS, *([login.router] if settings.MONAI_LABEL_AUTH_ENABLE else [])):
        for route in router.routes:
            methods = {method for method in route.methods if (method, route.path) not in CLOSED}
            if not methods:
                continue
            check = next((CHECKS[method, route.path] for method in methods if (method, route.path) in CHECKS), None)
            kept = {name: getattr(route, name) for name in ("tags", "summary", "include_in_schema", "deprecated")}
            application.add_api_route(route.path, in_thread(route.endpoint, check), methods=sorted(methods), **kept)
    application.add_middleware(SameSite)
    application.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)
    return application


app = make_app()
