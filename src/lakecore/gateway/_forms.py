"""The form of an error: problem+json, and on the routes of OpenAI's API the form it has there.

OpenAI's clients read `error.message`, `error.type` and `error.code`, and obey ``x-should-retry``:
what they should not ask again at once says so. No I/O.
"""

from __future__ import annotations

from typing import Final

import msgspec

from lakecore.base import LakecoreError
from lakecore.gateway._problems import MEDIA_TYPE, HttpProblem, problem_of

CHAT: Final = "/v1/chat/completions"
MODELS: Final = "/v1/models"
OPENAI_PATHS: Final = frozenset({CHAT, MODELS})

_TYPES: Final = {
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", "forbidden"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


class ModelProblem(HttpProblem):
    """A call of a model that did not end well: which outcome, in words for OpenAI's clients.

    Args:
        kind, code: as OpenAI's errors have them.
        retry_after_s: when it is worth asking again; None: the same request is not.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        code: str,
        message: str,
        *,
        retry_after_s: int | None,
        headers: dict[str, str],
    ) -> None:
        super().__init__(status, code, message)
        self.kind = kind
        self.retry_after_s = retry_after_s
        self.headers = headers


def error_answer(
    path: str, error: LakecoreError, request_id: str
) -> tuple[int, dict[str, str], bytes, str]:
    """Status, headers, body and media type of an error's answer on a route."""
    status, headers, body = problem_of(error, request_id)
    if path not in OPENAI_PATHS:
        return status, headers, body, MEDIA_TYPE
    told = msgspec.json.decode(body)
    if isinstance(error, ModelProblem):
        kind, code = error.kind, error.type
        headers.pop("retry-after", None)
        if error.retry_after_s is not None:
            headers["retry-after"] = str(error.retry_after_s)
        headers |= error.headers
    else:
        # OpenAI's clients know 400 for whatever is wrong with a request.
        status = 400 if status == 422 else status
        default = ("server_error" if status >= 500 else "invalid_request_error", error.type)
        kind, code = _TYPES.get(status, default)
    headers["x-should-retry"] = str("retry-after" in headers).lower()
    more = [f"{name} {told[name]}" for name in ("expected", "found") if name in told]
    message = told["title"] + (f": {', '.join(more)}" if more else "")
    document = {"message": message, "type": kind, "param": told.get("where"), "code": code}
    return status, headers, msgspec.json.encode({"error": document}), "application/json"
