"""The review loop: a score that moves only when a fix is confirmed.

    files -> examine -> follow -> confirm -> rows          (`_run`, one iteration; `_loop`)
             (ask)      (which    (blind     (`system.reviews`,
                         is which) looks)     `system.findings`)

What decides does no I/O:

==============  =====================================================================
`_parse`        an answer of a model, JSON or Markdown, as a value
`_finding`      findings held against the file: no quote in it, no finding
`_tokens`       whether code changed, or only how it is written
`_identity`     which finding is which over edits, moves and renames
`_state`        the life of a finding: one table
`_noise`        how much a reviewer differs from itself
`_confirm`      when a fix is confirmed
`_score`        `model_score` is an opinion, `confirmed_score` is earned
`_signal`       what a file's reviews say together
`_trust`        how far a model is trusted, by what became of its findings
`_order`        what follows from that: who is asked first
`_drift`        whether a model is still what it was
`_words`        from a term to files, findings and reviews; why a hit is where it is
`_refactor`     which files to make anew rather than mend again
==============  =====================================================================

>>> from lakecore.review import RawFinding, ground
>>> text = "def check(rule):\\n    return True  # always\\n"
>>> raw = [RawFinding("unenforced", "return  True", "ignores its rule", "critical")]
>>> [(one.line, one.category) for one in ground(raw, "rules.py", text).findings]
[(2, 'unenforced')]
>>> raw = [RawFinding("security", "eval(rule)", "injection", "major")]
>>> ground(raw, "rules.py", text).refused[0][1]
'ungrounded: the quote is not in the file'
"""

from lakecore.review._canary import Trial, Trials, try_on
from lakecore.review._canary import exit_code as canary_exit_code
from lakecore.review._canary import judge as judge_canary
from lakecore.review._cases import Case, CaseSet, has_cases, make_cases, read_cases, write_cases
from lakecore.review._command import TIMEOUT_S, words_of
from lakecore.review._confirm import BlindReview, Confirmation, FixTest, Verdict, confirm
from lakecore.review._drift import CanaryRun, Drift, drift
from lakecore.review._export import FORMATS, export, finding_body
from lakecore.review._files import GitFiles, Selection
from lakecore.review._finding import (
    CATEGORIES,
    SEVERE,
    SEVERITIES,
    WEIGHTS,
    Finding,
    Grounded,
    RawFinding,
    ground,
)
from lakecore.review._fix_test import FixTestRun, run_fix_test
from lakecore.review._gate import FileOutcome, Gate, gate
from lakecore.review._identity import Matching, line_map, match
from lakecore.review._index import KINDS as SEARCHED
from lakecore.review._index import ReviewIndex
from lakecore.review._known_bar import KnownBar
from lakecore.review._loop import Loop
from lakecore.review._memory import FileMemory, Memory, Tracked, replay, trust_of
from lakecore.review._noise import Noise, Pair, noise_of, wilson
from lakecore.review._on_demand import (
    CONFIRMATIONS,
    Decided,
    claims_of,
    confirm_on_demand,
    confirmations_schema,
    decided_again,
    last_open_revision,
)
from lakecore.review._order import in_order, known_trust
from lakecore.review._page import report_page
from lakecore.review._page_figures import PageFacts
from lakecore.review._parse import ANSWER_SCHEMA, Answer, parse
from lakecore.review._plan import Plan, RunResult, RunSettings
from lakecore.review._ports import Call, FileRef, Files, Models, Records, Reply
from lakecore.review._prompt import PROMPTS, Bar
from lakecore.review._refactor import RefactorSignal, refactor_signals
from lakecore.review._report import IterationReport, Movement, iterations
from lakecore.review._rows import FINDINGS, REVIEW, REVIEWS, findings_schema, reviews_schema
from lakecore.review._score import confirmed_score, gradient_tier
from lakecore.review._signal import Point, Signal, SignalClass, classify
from lakecore.review._state import OPEN, Sign, State, next_state
from lakecore.review._tokens import contains, is_changed
from lakecore.review._trust import TrustProfile, by_trust
from lakecore.review._words import Hit, ranked, term_words

__all__ = [
    "ANSWER_SCHEMA",
    "CATEGORIES",
    "CONFIRMATIONS",
    "FINDINGS",
    "FORMATS",
    "OPEN",
    "PROMPTS",
    "REVIEW",
    "REVIEWS",
    "SEARCHED",
    "SEVERE",
    "SEVERITIES",
    "TIMEOUT_S",
    "WEIGHTS",
    "Answer",
    "Bar",
    "BlindReview",
    "Call",
    "CanaryRun",
    "Case",
    "CaseSet",
    "Confirmation",
    "Decided",
    "Drift",
    "FileMemory",
    "FileOutcome",
    "FileRef",
    "Files",
    "Finding",
    "FixTest",
    "FixTestRun",
    "Gate",
    "GitFiles",
    "Grounded",
    "Hit",
    "IterationReport",
    "KnownBar",
    "Loop",
    "Matching",
    "Memory",
    "Models",
    "Movement",
    "Noise",
    "PageFacts",
    "Pair",
    "Plan",
    "Point",
    "RawFinding",
    "Records",
    "RefactorSignal",
    "Reply",
    "ReviewIndex",
    "RunResult",
    "RunSettings",
    "Selection",
    "Sign",
    "Signal",
    "SignalClass",
    "State",
    "Tracked",
    "Trial",
    "Trials",
    "TrustProfile",
    "Verdict",
    "by_trust",
    "canary_exit_code",
    "claims_of",
    "classify",
    "confirm",
    "confirm_on_demand",
    "confirmations_schema",
    "confirmed_score",
    "contains",
    "decided_again",
    "drift",
    "export",
    "finding_body",
    "findings_schema",
    "gate",
    "gradient_tier",
    "ground",
    "has_cases",
    "in_order",
    "is_changed",
    "iterations",
    "judge_canary",
    "known_trust",
    "last_open_revision",
    "line_map",
    "make_cases",
    "match",
    "next_state",
    "noise_of",
    "parse",
    "ranked",
    "read_cases",
    "refactor_signals",
    "replay",
    "report_page",
    "reviews_schema",
    "run_fix_test",
    "term_words",
    "trust_of",
    "try_on",
    "wilson",
    "words_of",
    "write_cases",
]
