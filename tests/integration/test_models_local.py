"""A real model, small and on this machine, through ladder and door with OpenAI's client.

It shows that the wire is right: requests, streams, usage. It says nothing of what models are
worth: this one knows next to nothing. Where it is not installed there is no test here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
from tests.gateways import serving
from tests.servers import model_file

CONFIG = """
[[llm.rung]]
name = "local"
base_url = "{url}"
model = "smollm2"
max_output_tokens = 16
timeout_s = 300
prompt_usd_per_million = 1
completion_usd_per_million = 1
"""
ASK: dict[str, Any] = {
    "model": "ladder",
    "messages": [{"role": "user", "content": "Say hi"}],
    "temperature": 0,
    "seed": 1,
    "max_tokens": 6,
}

if model_file() is not None:

    def test_a_real_model_answers(tmp_path: Path, model_server: str) -> None:
        """A chat, the same as a stream, a bounded answer; counted as the model's server says."""
        with serving(tmp_path, more=CONFIG.format(url=model_server)) as served:
            key = served.key("bot", "model:*")
            url = f"{served.url}/v1"
            with openai.OpenAI(base_url=url, api_key=key, timeout=300, max_retries=0) as client:
                whole = client.chat.completions.create(**ASK)
                text = whole.choices[0].message.content
                assert text
                assert whole.usage is not None
                assert 1 <= whole.usage.completion_tokens <= 6
                options: Any = {"include_usage": True}
                chunks = list(
                    client.chat.completions.create(**ASK, stream=True, stream_options=options)
                )
                parts = [c.choices[0].delta.content or "" for c in chunks if c.choices]
                assert "".join(parts) == text
                assert len(parts) > 1
                usage = chunks[-1].usage
                assert usage is not None
                assert usage.completion_tokens == whole.usage.completion_tokens
            total = served.lake.usage().total
            assert (total.requests, total.estimated, total.failed) == (2, 0, 0)
            counted = whole.usage.total_tokens + usage.total_tokens
            assert total.prompt_tokens + total.completion_tokens == counted
            assert total.cost_nano == counted * 1_000
            served.lake.ladder.project()
            rows = served.lake.sql("select outcome, tokens_from from system.usage").to_pylist()
            assert rows == [{"outcome": "ok", "tokens_from": "provider"}] * 2
