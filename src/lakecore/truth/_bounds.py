"""The bounds of a rule set: what is larger is refused when it is read, not when it is used."""

from __future__ import annotations

from typing import Final

from lakecore.base.limits import MIB

MAX_SOURCE_BYTES: Final = 1 * MIB
"""The TOML text of a rule set."""

MAX_RULES: Final = 1_000
MAX_TIERS: Final = 1_000
"""`[[tier]]` entries."""

MAX_GLOB_CHARACTERS: Final = 300
MAX_GLOB_STARS: Final = 4
"""Each star costs another walk through the name."""

MAX_TESTS_PER_RULE: Final = 100
MAX_CONDITIONS_PER_RULE: Final = 256
MAX_CONDITION_DEPTH: Final = 16
"""How deep `all`, `any` and `not` nest."""

MAX_PATH_SEGMENTS: Final = 32
MAX_PATH_CHARACTERS: Final = 512
MAX_TEXT_CHARACTERS: Final = 2_000
"""An id, a message, a description, one of `actions`."""

MAX_ACTIONS: Final = 32
"""Texts in `actions`, and task classes of one rule."""

MAX_EXPRESSION_CHARACTERS: Final = 1_000
"""A CEL expression. The engine itself allows as many, 32 levels and 10,000 loop steps."""

MAX_LITERAL_DEPTH: Final = 16
"""How deep a value to compare with, or a test's context, nests."""

MAX_SAMPLES: Final = 20
"""Rows that a batch names for each rule."""

MAX_FALLBACK_ROWS: Final = 100_000
"""Rows of one batch that a rule may look at one by one; those beyond fail closed."""

MAX_SHOWN_CHARACTERS: Final = 200
MAX_SHOWN_ITEMS: Final = 20
"""What a decision shows of a value that it found."""
