"""MONAI Label's web application, made fit for several annotators: in threads, bounded, with plain messages."""

from __future__ import annotations

import asyncio
import errno
import functools
import json
import logging
import os
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pydantic
from fastapi import HTTPException
from fastapi.routing import APIRoute
from monailabel.app import app
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException, MONAILabelException
from monailabel.interfaces.utils.app import app_instance
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monai_seunet.errors import find_input_error

MAX_UPLOAD = int(float(os.environ.get("SEUNET_LABEL_MAX_UPLOAD_MB", "512")) * 2**20)
HOSTS = os.environ.get("SEUNET_LABEL_HOSTS", "127.0.0.1,localhost").split(",")
# For other kinds of servers, or for those who may replace the weights by a file of theirs.
LEFT_OUT = ("/proxy", "/ohif", "/reload")
READ_ONLY = ("/model",)
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

    @functools.wraps(endpoint)
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


class LimitUploads:
    """Refuses requests with larger bodies, before they fill the disk.

    Args:
        inner: application.
        limit: bytes.
    """

    def __init__(self, inner: ASGIApp, limit: int) -> None:
        self.inner, self.limit = inner, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            return await self.inner(scope, receive, send)
        got = 0

        async def bounded() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > self.limit:
                raise HTTPException(413, f"more than {self.limit / 2**20:g} MB; larger images belong into the folder")
            return message

        await self.inner(scope, bounded, send)


def _routes() -> list[Any]:
    routes = []
    for route in app.router.routes:
        if not isinstance(route, APIRoute):
            routes.append(route)
            continue
        methods = (route.methods or set()) - ({"PUT", "DELETE"} if route.path.startswith(READ_ONLY) else set())
        if not methods or route.path.startswith(LEFT_OUT):
            continue
        check = next((CHECKS[method, route.path] for method in methods if (method, route.path) in CHECKS), None)
        endpoint = route.endpoint
        if asyncio.iscoroutinefunction(endpoint) and route.path not in ("/", "/favicon.ico"):
            endpoint = in_thread(endpoint, check)
        routes.append(
            APIRoute(
                route.path,
                endpoint,
                methods=sorted(methods),
                tags=route.tags,
                summary=route.summary,
                include_in_schema=route.include_in_schema,
                deprecated=route.deprecated,
            )
        )
    return routes


app.router.routes[:] = _routes()
# MONAI Label lets the scripts of all web pages in.
app.user_middleware[:] = [each for each in app.user_middleware if each.cls is not CORSMiddleware]
app.add_middleware(LimitUploads, limit=MAX_UPLOAD)
app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)
