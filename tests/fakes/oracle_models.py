"""Models that know what is wrong with the files of a generated repository.

Not a model: it proves the loop and says nothing of how well anything reviews.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from lakecore.review._ports import Call, Reply

FAULT = "accept_all("
"""A line with this is wrong; without it, it is right."""
_MATERIAL = re.compile(r"<(material-[0-9a-f]{24})>\n(.*?)\n</\1>\Z", re.DOTALL)
FAMILIES = ("qwen", "llama")


@dataclass
class OracleModels:
    """Finds each fault, and each line that is not in `clean`, with chance `recall`.

    Attributes:
        clean: lines that are known to be as they should: others are planted.
        false: chance of a finding about nothing, for each review.
        broken: chance of an answer that is no review.
        paraphrase: claims are worded anew each time.
        out_after: questions after which the budget is gone.
        on_ask: called before each answer.
    """

    clean: set[str]
    seed: int = 0
    recall: float = 1.0
    false: float = 0.0
    broken: float = 0.0
    paraphrase: bool = True
    families: tuple[str, ...] = FAMILIES
    out_after: int | None = None
    on_ask: Callable[[Call], None] = lambda call: None
    asked: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, call: Call) -> Reply:
        self.on_ask(call)
        with self.lock:
            self.asked[call.id.split(":")[-2] if call.id.count(":") > 1 else call.id] += 1
            if self.out_after is not None and sum(self.asked.values()) > self.out_after:
                return Reply("budget", attempts=0)
        wanted = [one for one in self.families if one not in call.avoid_families]
        pool = wanted or list(self.families)
        family = pool[int(self._chance(call, "family") * len(pool))]
        text = self._answer(call, family)
        why = call.accept(text)
        return Reply(
            why or "ok",
            text,
            model=f"{family}-oracle",
            family=family,
            rung="oracle",
            attempts=1,
            prompt_tokens=len(call.user) // 3,
            completion_tokens=len(text) // 3,
            cost_microusd=len(call.user) // 30,
        )

    def _answer(self, call: Call, family: str) -> str:
        if self._chance(call, "broken") < self.broken:
            return "I looked at it and it seems fine to me!"
        found = _MATERIAL.search(call.user)
        assert found is not None
        lines = found[2].splitlines()
        findings = []
        for number, line in enumerate(lines):
            is_fault, is_planted = FAULT in line, line.strip() not in self.clean
            if not (is_fault or is_planted) or len(line.strip()) < 6:
                continue
            if self._chance(call, f"{number}:{line.strip()}") < self.recall:
                findings.append(self._finding("unenforced", line, call))
        if lines and self._chance(call, "false") < self.false:
            line = max(lines, key=len)
            if len(line.strip()) >= 6:
                findings.append(self._finding("performance", line, call, "minor"))
        score = max(0.0, 9.0 - 2 * len(findings))
        body = {
            "verdict": "needs_work" if findings else "pass",
            "score": score,
            "confidence": 0.9,
            "findings": findings,
            "verified_components": [family],
            "missing_components": [],
        }
        return json.dumps(body)

    def _finding(
        self, category: str, line: str, call: Call, severity: str = "critical"
    ) -> dict[str, object]:
        words = f" (seen in {call.id})" if self.paraphrase else ""
        return {
            "category": category,
            "severity": severity,
            "symbol": "",
            "quote": line.strip(),
            "claim": f"it accepts whatever it is given{words}",
            "confidence": 0.8,
        }

    def _chance(self, call: Call, what: str) -> float:
        name = f"{self.seed}\0{call.id}\0{what}".encode(errors="replace")
        return int.from_bytes(hashlib.sha256(name).digest()[:7]) / 2**56
