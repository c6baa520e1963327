"""MONAI Label's web application, made fit for several annotators: in threads, bounded, with plain messages."""

from __future__ import annotations

import asyncio
import errno
import inspect
import json
import logging
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
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
    scoring,
    session,
    train,
    wsi_infer,
)
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException, MONAILabelException
from monailabel.interfaces.utils.app import app_instance
from starlette.middleware.trustedhost import TrustedHostMiddleware

from monai_seunet.errors import find_input_error

MAX_UPLOAD = int(float(os.environ.get("SEUNET_LABEL_MAX_UPLOAD_MB", "512")) * 2**20)
HOSTS = os.environ.get("SEUNET_LABEL_HOSTS", "127.0.0.1,localhost").split(",")
# Without those for radiology and for reloading. CORS is left out, by which the scripts of any web page could come in,
# and so is who would replace the weights by a file of theirs.
ROUTERS = (
    *(info.router, infer.router, wsi_infer.router, batch_infer.router, train.router, activelearning.router),
    *(scoring.router, datastore.router, session.router, logs.router, model.router),
)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

logger = logging.getLogger(__name__)


def problem_of(error: BaseException) -> tuple[int, str]:
    """Status and message for an error: what the client can mend is 4xx, and says how."""
    known = find_input_error(error)
    if known is not None:
        return 400, str(known)
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
        return 507, "the disk of the server is full; tell whoever runs it"
    number = uuid.uuid4().hex[:8]
    logger.exception("error %s", number, exc_info=error)
    return 500, f"the server met an error that it did not expect; its log tells more under {number}"


def in_thread(endpoint: Callable[..., Awaitable[Any]], check: Callable[..., None] | None) -> Callable[..., Any]:
    """An endpoint that answers in a thread of its own, with plain messages.

    MONAI Label's are coroutines that never wait: one inference would hold up all other clients.
    """

    def answer(**arguments: Any) -> Any:
        try:
            if check is not None:
                check(**arguments)
            return asyncio.run(endpoint(**arguments))  # type: ignore[arg-type]
        except HTTPException:
            raise
        except Exception as error:
            status, message = problem_of(error)
            raise HTTPException(status, message) from error

    answer.__name__, answer.__doc__ = endpoint.__name__, endpoint.__doc__  # not functools.wraps: FastAPI looks beneath
    answer.__signature__ = inspect.signature(endpoint)  # type: ignore[attr-defined]
    return answer


def check_training(model: str, params: dict[str, Any] | None = None, **_: Any) -> None:
    """Refuse a training that would fail as soon as it has started."""
    instance = app_instance()
    if model not in instance.trainers:
        raise HTTPException(404, f"model '{model}' is not here; there is {', '.join(instance.trainers)}")
    instance.trainers[model].check(params or {}, instance.datastore())


def check_session(uncompress: bool = False, **_: Any) -> None:
    """Refuse archives: what they unpack to has no bound."""
    if uncompress:
        raise HTTPException(400, "archives are not taken; send images as they are")


def check_sample(strategy: str, **_: Any) -> None:
    """Name the strategies that there are."""
    known = app_instance().info()["strategies"]
    if strategy not in known:
        raise HTTPException(404, f"strategy '{strategy}' is not here; there are {', '.join(known)}")


CHECKS: dict[tuple[str, str], Callable[..., None]] = {
    ("POST", "/train/{model}"): check_training,
    ("PUT", "/session/"): check_session,
    ("POST", "/activelearning/{strategy}"): check_sample,
}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Load the network before the first request."""
    instance = app_instance()
    instance.server_mode(True)
    instance.on_init_complete()
    yield


def make_app() -> FastAPI:
    """The application; its root page lists what it can do."""
    made = FastAPI(
        title="SEUNet in MONAI Label", docs_url="/", redoc_url=None, lifespan=lifespan, max_body_size=MAX_UPLOAD
    )
    for rooms in (*ROUTERS, *([login.router] if settings.MONAI_LABEL_AUTH_ENABLE else [])):
        for route in rooms.routes:
            methods = route.methods & {"GET", "HEAD"} if rooms is model.router else route.methods
            if not methods:
                continue
            check = next((CHECKS[method, route.path] for method in methods if (method, route.path) in CHECKS), None)
            made.add_api_route(
                route.path,
                in_thread(route.endpoint, check),
                methods=sorted(methods),
                tags=route.tags,
                summary=route.summary,
                include_in_schema=route.include_in_schema,
                deprecated=route.deprecated,
            )
    made.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)
    return made


app = make_app()
