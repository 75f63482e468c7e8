"""What form an answer must have, whether it has it, and what a model is told that missed it.

No I/O. `jsonschema` is imported when a schema is first used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from lakecore.base import InvalidInput
from lakecore.llm._outcome import Outcome
from lakecore.llm._rung import Structured

MAX_SCHEMA_BYTES: Final = 256 * 1_024
MAX_REFERENCES: Final = 10_000
"""References of a schema that are followed for one answer."""
_SHOWN: Final = 600
_FENCE: Final = re.compile(
    r"\A\s*```[A-Za-z0-9_-]{0,20}[ \t]*\r?\n(?P<inside>[\s\S]*?)\r?\n?```\s*\Z"
)


@dataclass(frozen=True, slots=True)
class Output:
    """The form of an answer.

    Attributes:
        schema: a JSON schema (draft 2020-12), for `Structured.SCHEMA`.
        is_trusted: whether the schema's regular expressions are run. One that came with a
            request could keep a processor busy for ever by them.
        check: the caller's own: says why nothing backs a value, or None where it is good.
    """

    form: Structured = Structured.TEXT
    schema: Mapping[str, Any] | None = None
    name: str = "answer"
    check: Callable[[Any], str | None] | None = None
    is_trusted: bool = True

    @classmethod
    def of_request(cls, response_format: object) -> Output:
        """From the `response_format` of a request in OpenAI's form."""
        if response_format is None:
            return cls()
        if not isinstance(response_format, Mapping):
            raise InvalidInput("response_format is an object", found=type(response_format).__name__)
        form = response_format.get("type")
        if form == "text":
            return cls()
        if form == "json_object":
            return cls(Structured.OBJECT)
        inner = response_format.get("json_schema")
        if form == "json_schema" and isinstance(inner, Mapping):
            schema = inner.get("schema")
            if isinstance(schema, Mapping):
                name = str(inner.get("name", "answer"))[:64]
                return cls(Structured.SCHEMA, schema, name, is_trusted=False)
        raise InvalidInput(
            "response_format is not one that is known",
            expected="text, json_object, or json_schema with a schema",
            found=str(form)[:80],
        )

    def prepare(self) -> None:
        """Check the schema itself.

        Raises:
            InvalidInput: it is none, too long, or refers to something outside of it.
        """
        if self.schema is None:
            return
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError

        if len(json.dumps(self.schema)) > MAX_SCHEMA_BYTES:
            raise InvalidInput("the schema is too long", expected=f"{MAX_SCHEMA_BYTES:,} bytes")
        _check_references(self.schema)
        try:
            Draft202012Validator.check_schema(dict(self.schema))
        except SchemaError as error:
            raise InvalidInput(
                "not a JSON schema", found=error.message[:_SHOWN], where=_path(error.path)
            ) from error

    def request_members(self, served: Structured) -> dict[str, Any]:
        """The `response_format` that a rung is sent, as far as its server knows forms."""
        if self.form is Structured.TEXT or served is Structured.TEXT:
            return {}
        if self.form is Structured.SCHEMA and served is Structured.SCHEMA:
            inner = {"name": self.name, "schema": dict(self.schema or {}), "strict": True}
            return {"response_format": {"type": "json_schema", "json_schema": inner}}
        return {"response_format": {"type": "json_object"}}

    def instructions(self, served: Structured) -> str | None:
        """What the prompt has to say, where the server does not hold the model to the form."""
        if self.form is Structured.TEXT or self.form is served:
            return None
        if self.schema is None:
            return "Answer with one JSON object and nothing else."
        shown = json.dumps(self.schema, ensure_ascii=False)
        return f"Answer with one JSON value of this JSON schema, and nothing else:\n{shown}"

    def judge(self, text: str) -> tuple[Outcome, Any, str]:
        """The outcome of an answer's text, its value, and what is wrong with it."""
        if not text.strip():
            return Outcome.UNPARSABLE, None, "the answer is empty"
        if self.form is Structured.TEXT:
            return self._grounded(text)
        try:
            value = json.loads(_unfenced(text), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            return Outcome.UNPARSABLE, None, f"not JSON: {str(error)[:_SHOWN]}"
        if self.form is Structured.OBJECT and not isinstance(value, dict):
            return Outcome.UNPARSABLE, None, f"not a JSON object, but {type(value).__name__}"
        problem = self._misfit(value)
        if problem is not None:
            return Outcome.SCHEMA, value, problem
        return self._grounded(value)

    def _misfit(self, value: Any) -> str | None:
        if self.schema is None:
            return None
        validator = _validators()[self.is_trusted](dict(self.schema))
        _references.set(0)
        try:
            error = next(validator.iter_errors(value), None)
        except RecursionError:
            return "nested too deeply"
        except _TooManyReferencesError:
            return f"it takes more than {MAX_REFERENCES:,} references of the schema"
        if error is None:
            return None
        return f"at {_path(error.absolute_path)}: {error.message[:_SHOWN]}"

    def _grounded(self, value: Any) -> tuple[Outcome, Any, str]:
        problem = None if self.check is None else self.check(value)
        if problem is not None:
            return Outcome.UNGROUNDED, value, problem[:_SHOWN]
        return Outcome.OK, value, ""


TEXT: Final = Output()


def repair_messages(answer: str, problem: str) -> list[dict[str, Any]]:
    """What a model is told that missed the form: its own answer, and what is wrong with it."""
    told = f"That answer cannot be used: {problem}. Answer again, with nothing but the answer."
    return [
        {"role": "assistant", "content": answer or "(nothing)"},
        {"role": "user", "content": told},
    ]


class _TooManyReferencesError(Exception):
    """A schema whose references multiply."""


_references: ContextVar[int] = ContextVar("references", default=0)


@cache
def _validators() -> dict[bool, Any]:
    """The validators by whether a schema is trusted; references followed are counted."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    follow = Draft202012Validator.VALIDATORS["$ref"]

    def counted(validator: Any, target: Any, value: Any, schema: Any) -> Any:
        _references.set(_references.get() + 1)
        if _references.get() > MAX_REFERENCES:
            raise _TooManyReferencesError
        yield from follow(validator, target, value, schema) or ()

    def unchecked(*_: Any) -> None:
        return None

    trusted: Any = extend(Draft202012Validator, {"$ref": counted})
    unsafe = {"pattern": unchecked, "patternProperties": unchecked}
    return {True: trusted, False: extend(trusted, unsafe)}


def _unfenced(text: str) -> str:
    """The inside, where the whole answer is one fenced block of Markdown."""
    match = _FENCE.match(text)
    return match["inside"] if match else text


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _check_references(schema: object) -> None:
    """References stay within the schema: none is fetched, here or by whoever validates."""
    stack = [schema]
    while stack:
        found = stack.pop()
        if isinstance(found, Mapping):
            for word in ("$ref", "$dynamicRef"):
                target = found.get(word)
                if isinstance(target, str) and not target.startswith("#"):
                    raise InvalidInput(
                        "the schema refers to another one",
                        expected="#/$defs/…",
                        found=target[:200],
                    )
            stack.extend(found.values())
        elif isinstance(found, list):
            stack.extend(found)


def _path(parts: Any) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
