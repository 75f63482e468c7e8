"""Money as whole numbers: prices in micro-dollars a million tokens, costs in nano-dollars.

A micro-dollar a million tokens is a pico-dollar a token, so a price of at most six decimals
is a whole number, and so is every product. A cost is rounded up to the next nano-dollar once,
when an attempt is settled: sums of costs are exact, and never below what was priced.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from lakecore.base import InvalidInput

NANO: Final = 1_000_000_000
"""Nano-dollars of a dollar."""

_MICRO: Final = 1_000_000
_PICO_OF_NANO: Final = 1_000
MAX_USD: Final = 1_000_000_000
MAX_TOKENS: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Prices:
    """What a rung's tokens cost, in micro-dollars a million tokens."""

    prompt_micro: int = 0
    completion_micro: int = 0

    @classmethod
    def of_usd(cls, prompt: float | str, completion: float | str) -> Prices:
        """From dollars a million tokens, as providers list them."""
        return cls(_exact(prompt, _MICRO), _exact(completion, _MICRO))

    def cost_nano(self, prompt_tokens: int, completion_tokens: int) -> int:
        """What so many tokens cost, rounded up.

        >>> Prices.of_usd("2.50", 10).cost_nano(1_000_000, 0) == 2_500_000_000
        True
        >>> Prices.of_usd("0.0375", 0).cost_nano(1, 0)
        38
        """
        pico = prompt_tokens * self.prompt_micro + completion_tokens * self.completion_micro
        return -(-pico // _PICO_OF_NANO)

    def is_dearer_than(self, other: Prices) -> bool:
        """Whether some call could cost more here than there."""
        return (
            self.prompt_micro > other.prompt_micro or self.completion_micro > other.completion_micro
        )


def nano_of(usd: float | str) -> int:
    """Dollars as nano-dollars; what is finer is refused.

    >>> nano_of("0.1"), nano_of(0.1)
    (100000000, 100000000)
    """
    return _exact(usd, NANO)


def usd_of(nano: int) -> float:
    """Nano-dollars as dollars, for people and JSON; sums are made before, of whole numbers."""
    return nano / NANO


def _exact(usd: float | str, parts: int) -> int:
    try:
        scaled = Decimal(str(usd)) * parts
    except InvalidOperation as error:
        raise InvalidInput("not an amount of dollars", found=repr(usd)[:80]) from error
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise InvalidInput(
            "not an amount of dollars", expected=f"whole 1/{parts:,} dollars", found=repr(usd)[:80]
        )
    if not 0 <= scaled <= MAX_USD * parts:
        raise InvalidInput(
            "not an amount of dollars", expected=f"0 to {MAX_USD:,}", found=repr(usd)[:80]
        )
    return int(scaled)
