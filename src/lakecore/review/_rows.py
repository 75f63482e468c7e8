"""The rows that the loop keeps, `system.reviews` and `system.findings`, and their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION: Final = 4
REVIEWS: Final = "reviews"
FINDINGS: Final = "findings"

REVIEW: Final = "review"
AGAIN: Final = "again"
BLIND: Final = "blind"
PURPOSES: Final = (REVIEW, AGAIN, BLIND)
"""``review`` counts; ``again`` is the second of an A/A pair; ``blind`` confirms a fix."""


def reviews_schema() -> pa.Schema:
    """One row for each answer, or failure to get one, about one file."""
    import pyarrow as pa

    text, number, whole = pa.string(), pa.float64(), pa.int64()
    return pa.schema(
        [
            ("time", pa.timestamp("us", "UTC")),
            ("schema_version", whole),
            ("repository", text),
            ("run_id", text),
            ("iteration", whole),
            ("revision", text),
            ("path", text),
            ("renamed_from", text),
            ("blob", text),
            ("bar", text),
            ("purpose", text),
            ("outcome", text),
            ("is_clipped", pa.bool_()),
            ("is_changed", pa.bool_()),
            ("model", text),
            ("family", text),
            ("rung", text),
            ("attempts", whole),
            ("prompt_tokens", whole),
            ("completion_tokens", whole),
            ("cost_microusd", whole),
            ("output_format", text),
            ("verdict", text),
            ("score", number),
            ("confirmed_score", number),
            ("confidence", number),
            ("gradient_tier", text),
            ("critical_failures_count", whole),
            ("verified_components_count", whole),
            ("missing_components_count", whole),
            ("grounded", whole),
            ("ungrounded", whole),
            ("control_found", pa.bool_()),
            ("found", pa.list_(text)),
            ("touched", pa.list_(text)),
            ("severe_open", pa.list_(text)),
            ("open_weight", number),
            ("confirmed_count", whole),
            ("answer", text),
            ("batch", text),
        ]
    )


def findings_schema() -> pa.Schema:
    """One row for each sign that a finding got; the last one says where it stands."""
    import pyarrow as pa

    text, whole = pa.string(), pa.int64()
    return pa.schema(
        [
            ("time", pa.timestamp("us", "UTC")),
            ("repository", text),
            ("bar", text),
            ("run_id", text),
            ("iteration", whole),
            ("finding_id", text),
            ("sign", text),
            ("state", text),
            ("path", text),
            ("symbol", text),
            ("category", text),
            ("severity", text),
            ("quote", text),
            ("claim", text),
            ("line", whole),
            ("end_line", whole),
            ("ordinal", whole),
            ("confidence", pa.float64()),
            ("model", text),
            ("family", text),
            ("reason", text),
            ("who", text),
            ("until", pa.timestamp("us", "UTC")),
            ("batch", text),
        ]
    )
