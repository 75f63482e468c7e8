"""No quote in the file, no finding; the line is ours."""

from __future__ import annotations

import pytest

from lakecore.review import RawFinding, ground

TEXT = '''"""Rules."""

def check(rule):
    return True

def evaluate(rule, context):
    if not rule:
        return True
    return rule(context)
'''


def symbol_at(line: int) -> str:
    return "check" if 3 <= line <= 4 else "evaluate" if 6 <= line <= 9 else ""


def raw(quote: str, **given: str) -> RawFinding:
    fields = {"category": "unenforced", "severity": "critical", "claim": "c", **given}
    return RawFinding(quote=quote, **fields)  # type: ignore[arg-type]  # all are texts


def test_the_line_is_computed_and_white_space_is_no_difference() -> None:
    """A quote is found whatever its spacing, and says where it is."""
    found = ground([raw("if not\n\n  rule:   return True")], "r.py", TEXT, symbol_at).findings
    assert [(f.line, f.end_line, f.symbol) for f in found] == [(7, 8, "evaluate")]


@pytest.mark.parametrize(("symbol", "line"), [("", 4), ("check", 4), ("x.evaluate", 8)])
def test_of_several_places_the_named_definition_is_taken(symbol: str, line: int) -> None:
    """The symbol that a reviewer names decides between equal quotes."""
    [found] = ground([raw("return True", symbol=symbol)], "r.py", TEXT, symbol_at).findings
    assert found.line == line


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (raw("return False"), "ungrounded"),
        (raw(""), "0 characters"),
        (raw("rule"), "4 characters"),
        (raw("x" * 5_000), "5000 characters"),
        (raw("return True", category="style"), "no such category"),
        (raw("return True", severity="blocker"), "no such severity"),
    ],
)
def test_what_does_not_count(one: RawFinding, why: str) -> None:
    """Every reason for which a finding is thrown away."""
    answer = ground([one], "r.py", TEXT, symbol_at)
    assert answer.findings == ()
    assert why in answer.refused[0][1]


def test_the_same_finding_twice_counts_once() -> None:
    """A repeated finding is refused with its reason."""
    answer = ground([raw("return True"), raw("return  True", claim="other")], "r.py", TEXT)
    assert (len(answer.findings), answer.refused[0][1][:8]) == (1, "repeated")


def test_claim_and_line_are_not_in_the_fingerprint() -> None:
    """Other words at another line are the same finding."""
    [one] = ground([raw("return rule(context)")], "r.py", TEXT, symbol_at).findings
    moved = "\n\n# more\n" + TEXT
    [other] = ground(
        [raw("return rule( context )".replace("( ", "(").replace(" )", ")"), claim="else")],
        "r.py",
        moved,
        lambda line: symbol_at(line - 3),
    ).findings
    assert (one.line + 3, one.fingerprint) == (other.line, other.fingerprint)


def test_the_ordinal_tells_equal_quotes_of_one_definition_apart() -> None:
    """A longer quote at the same place is another finding."""
    text = "def f():\n    pass_it(1)\n    pass_it(1)\n"
    [one] = ground([raw("pass_it(1)")], "r.py", text, lambda _: "f").findings
    both = ground([raw("pass_it(1)\n    pass_it(1)")], "r.py", text, lambda _: "f").findings
    assert (one.ordinal, both[0].ordinal) == (0, 0)
    assert one.fingerprint != both[0].fingerprint
