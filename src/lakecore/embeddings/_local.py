"""The local model: all-MiniLM-L6-v2, from a wheel, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Stop
from lakecore.embeddings._batches import batches_by_length
from lakecore.embeddings._pinned import MINILM, PinnedModel, read_pinned

if TYPE_CHECKING:
    import numpy as np

DEFAULT_BATCH: Final = 32


class LocalEmbedder:
    """Embeds on this machine; nothing leaves it, nothing is fetched."""

    def __init__(self, *, threads: int = 2, batch: int = DEFAULT_BATCH) -> None:
        self._model: Final[PinnedModel] = MINILM
        self._threads = threads
        self._batch = batch
        self._session, self._tokenizer = _load(self._model)

    @property
    def name(self) -> str:
        """The model, and a hash of all that decides about its vectors."""
        return self._model.name

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""
        return self._model.dimension

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """A row of float32 for each text, of unit length."""
        import numpy as np

        ids = [self._tokenizer.encode(text).ids for text in texts]
        vectors = np.empty((len(ids), self.dimension), np.float32)

        def run(places: Sequence[int]) -> None:
            vectors[places] = self._run([ids[place] for place in places])

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(run, batches_by_length([len(one) for one in ids], self._batch)))
        return vectors

    def _run(self, ids: Sequence[Sequence[int]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        import numpy as np

        shape = (len(ids), max(map(len, ids)))
        words, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, one in enumerate(ids):
            words[row, : len(one)] = one
            mask[row, : len(one)] = 1
        given = {"input_ids": words, "attention_mask": mask, "token_type_ids": np.zeros_like(words)}
        (states,) = self._session.run(None, given)
        sums = np.einsum("btd,bt->bd", states, mask.astype(np.float32))
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return (sums / lengths).astype(np.float32)


def _load(model: PinnedModel) -> tuple[Any, Any]:
    try:
        import onnxruntime
        from tokenizers.implementations import BertWordPieceTokenizer
    except ImportError as error:
        raise Stop(
            "the local model needs packages that are not installed",
            found=f"no {error.name}",
            hint="pip install 'lakecore[search]'",
        ) from error
    content, vocabulary = read_pinned(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    words = {word: at for at, word in enumerate(vocabulary.decode().splitlines())}
    tokenizer = BertWordPieceTokenizer(words, lowercase=True)
    tokenizer.enable_truncation(model.max_tokens)
    return session, tokenizer
