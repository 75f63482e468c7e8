"""JSON text of a value after its column got another type: what `json_text` gives for it then.

Types are Delta's, by name: ``long``, ``decimal(10,2)``. As tables compare values of two types,
so a number stays the same number and a day its first moment; their texts differ.

>>> retyped('"1.50"', "decimal(6,2)", "decimal(20,4)"), retyped("0.1", "float", "double")
('"1.5000"', '0.10000000149011612')
>>> retyped('"2026-01-31"', "date", "timestamp"), retyped("7", "integer", "long")
('"2026-01-31T00:00:00.000000Z"', '7')
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, DecimalException, localcontext
from typing import Final

import numpy as np

from lakecore.journal._values.text import float_text, integer_text

_INTEGERS: Final = frozenset({"byte", "short", "integer", "long"})
_FLOATS: Final = {"float": 32, "double": 64}
_MOMENTS: Final = {"timestamp": "Z", "timestamp_ntz": ""}
_DECIMAL: Final = re.compile(r"decimal\(\d+,\s*(\d+)\)")
_DIGITS: Final = 100
"""More than any column's decimal has."""


def retyped(text: str, old: str, new: str) -> str:
    """`text`, of a value of type `old`, as of type `new`; as it is where no rule fits."""
    if text == "null" or old == new:
        return text
    if old == "date" and new in _MOMENTS:
        return f'{text[:-1]}T00:00:00.000000{_MOMENTS[new]}"'
    if old in _MOMENTS and new == "date":
        return f'{text.partition("T")[0]}"'
    if new == "string":
        return f'"{text}"' if old in (*_INTEGERS, "boolean") and text[0] != '"' else text
    try:
        return _number_text(text, old, new)
    except (ValueError, ArithmeticError, DecimalException):
        return text


def _number_text(text: str, old: str, new: str) -> str:
    if old not in _INTEGERS and old not in _FLOATS and _DECIMAL.fullmatch(old) is None:
        return text
    digits = str(json.loads(text, parse_float=str, parse_int=str))
    if new in _FLOATS:
        value = np.float32(digits) if "float" in (old, new) else np.float64(digits)
        return float_text(value if new == "float" else float(value), _FLOATS[new])
    number = Decimal(float(np.float32(digits)) if old == "float" else digits)
    if new in _INTEGERS:
        return integer_text(int(number)) if number == int(number) else text
    scale = _DECIMAL.fullmatch(new)
    if scale is None:
        return text
    with localcontext() as context:
        context.prec = _DIGITS
        return f'"{number.quantize(Decimal(1).scaleb(-int(scale[1]))):f}"'
