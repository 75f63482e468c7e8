"""Routes that need nothing of FastAPI but to be found: found by one look, guarded, answered.

FastAPI tries routes one by one and then solves dependencies: a third of what a small request
costs. A route of a fixed path whose handler takes the request alone has nothing to solve but the
guard. It goes this way; every other, and whatever is no route, takes FastAPI's.

The edge and the compression are around both ways, and the guard, the handlers and the answers to
errors are the same functions. OpenAPI is described from the same routes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from fastapi.routing import APIRoute
from starlette.requests import Request

from lakecore.gateway._guard import guard

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ANSWER: Final = "Response"
"""What such a handler says that it returns."""


class Direct:
    """ASGI middleware, the innermost: the last thing before FastAPI's own router.

    Args:
        routes: by method and path, as `direct_routes` finds them.
        handlers: the application's, by the class of the error.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Mapping[tuple[str, str], APIRoute],
        handlers: Mapping[Any, Any],
    ) -> None:
        self._app = app
        self._routes = routes
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = None
        if scope["type"] == "http" and not scope.get("root_path"):
            route = self._routes.get((scope["method"], scope["path"]))
        if route is None:
            await self._app(scope, receive, send)
            return
        scope.update(route=route, endpoint=route.endpoint, path_params={})
        began = False

        async def sending(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        request = Request(scope, receive, sending)
        try:
            await guard(request)
            answer = await route.endpoint(request)
            await answer(scope, receive, sending)
        except Exception as error:
            handler = self._handler_of(error)
            if handler is None or began:
                # The edge breaks such an answer off.
                raise
            answer = await handler(request, error)
            await answer(scope, receive, send)

    def _handler_of(self, error: Exception) -> Any:
        found = (self._handlers.get(kind) for kind in type(error).__mro__)
        return next((handler for handler in found if handler is not None), None)


def direct_routes(routes: Iterable[object]) -> dict[tuple[str, str], APIRoute]:
    """Those that may go this way, by method and path; of two for one, the first."""
    found: dict[tuple[str, str], APIRoute] = {}
    for route in routes:
        if isinstance(route, APIRoute) and _is_direct(route):
            for method in route.methods or ():
                found.setdefault((method, route.path), route)
    return found


def _is_direct(route: APIRoute) -> bool:
    endpoint = route.endpoint
    returns = getattr(endpoint, "__annotations__", {}).get("return")
    return (
        "{" not in route.path
        and not route.dependencies
        and inspect.iscoroutinefunction(endpoint)
        and list(inspect.signature(endpoint).parameters) == ["request"]
        and returns == _ANSWER
    )
