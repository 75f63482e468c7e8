"""The frames that commit messages have: prefixes, bodies, lists, trailers, and asides.

An aside is about another time, a plan, a condition, or what somebody else says: no claim.
"""

from __future__ import annotations

import random

# True of any commit, or of none in particular: never a claim that can be held against it.
_ASIDE = (
    "The old way was slow when the queue was long.",
    "This will let us remove `{}` later.",
    "It could drop `{}` altogether, but not yet.",
    "Previously `{}` was called twice.",
    "Before, we had 3 tests for it, and went from 5 to 9 of them in a week.",
    "See #1234 and the notes from 2 to 4 May.",
    "If `{}` is gone, remove the lock file.",
    "We should add tests for `{}` in a follow-up.",
    "Tested by hand on 3 machines; 12 tests pass.",
    "This is not a formatting only change to `{}`.",
    "Instead of removing `{}`, keep it for now.",
    "The review asked to rename `{}` to `better_name`, which is left for later.",
    "> Remove `{}` and add 40 tests",
    "    Remove README.md",
    "Users report that `{}` adds 2 files a day.",
    "Why not delete `{}`? Because others use it.",
)
_PREFIXES = ("", "", "core: ", "fix(core): ", "part0, part1: ", "[core] ")
_TRAILERS = (
    "",
    "",
    "\n\nSigned-off-by: A Person <a@example.com>",
    "\n\nFixes: #77\nReviewed-by: B <b@example.com>",
)


def frame(
    rng: random.Random, claim: str, names: list[str], shapes: tuple[int, ...] = (0, 1, 2, 3, 4)
) -> str:
    """A claim as people write it: subject, body, list; with sentences around it."""
    aside = [text.format(rng.choice(names)) for text in rng.sample(_ASIDE, 2)]
    prefix, trailer = rng.choice(_PREFIXES), rng.choice(_TRAILERS)
    if "\n" in claim:
        return f"{claim}\n\n{aside[0]}{trailer}"
    shape = rng.choice(shapes)
    if shape == 0:
        return f"{prefix}{claim}{trailer}"
    if shape == 1:
        return f"{prefix}{claim}\n\n{aside[0]}\n\n{aside[1]}{trailer}"
    if shape == 2:
        return f"{prefix}tidy up\n\n{aside[0]}\n\n- {claim}\n- and the like{trailer}"
    if shape == 3:
        return f"{prefix}tidy up\n\n{claim}.\n\n{aside[0]}{trailer}"
    return f"{prefix}{claim}.\n\n{aside[0]}{trailer}"
