"""The JSON text of values is what it was."""

from __future__ import annotations

import json

from tests.golden.generate_values import GOLDEN, arrays, generate

from lakecore.journal._values.values import json_text


def test_the_golden_table_is_reproduced() -> None:
    """Every type's edge cases still have the text that journals already hold."""
    assert generate() == GOLDEN.read_text()


def test_a_cell_has_one_text_whatever_is_around_it() -> None:
    """A column is encoded as a whole; each cell alone gives the same text."""
    for array in arrays():
        alone = [json_text(array.slice(at, 1))[0].as_py() for at in range(len(array))]
        assert alone == json_text(array).to_pylist(), array.type


def test_every_text_is_json() -> None:
    """A strict reader takes every text of the table."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for entry in json.loads(GOLDEN.read_text())["values"]:
        for _, text in entry["cells"]:
            json.loads(text, parse_constant=refuse)
