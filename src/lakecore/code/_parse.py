"""A text as symbols and tokens: one walk over its syntax tree, pure.

Comments, and docstrings in Python, are no tokens. A string is one token with all inside.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from lakecore.base.limits import MIB
from lakecore.code._grammar import GRAMMARS, Grammar, make_parser
from lakecore.code._languages import Language

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, TreeCursor

MAX_PARSED_BYTES: Final = 1 * MIB
_CACHED_TEXTS: Final = 64
_WORD: Final = re.compile(r"[^\W\d]\w*|\d[\w.]*|\S")
_PYTHON_BODIES: Final = frozenset(("module", "block"))
_FUNCTION_VALUES: Final = frozenset(("arrow_function", "function_expression"))
_TEST_CALL: Final = re.compile(r"^(?:it|test|bench)\b")


@dataclass(frozen=True, slots=True)
class Symbol:
    """Something that a file defines.

    Attributes:
        kind: function, method, class, interface, type, variable, field, variant, module,
            macro; ``test`` for a test that is named by a string.
        container: the names around it, joined by dots; empty at the top.
        start_line: where it begins, its decorators included; counts from 1.
        end_line: its last line.
        start_byte: of the text as UTF-8.
        decorators: what stands before it as ``@…`` or ``#[…]``, without these signs.
    """

    name: str
    kind: str
    container: str
    start_line: int
    end_line: int
    start_byte: int
    end_byte: int
    decorators: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """With its container.

        >>> Symbol("close", "method", "Store", 1, 2, 0, 9).qualified
        'Store.close'
        """
        return f"{self.container}.{self.name}" if self.container else self.name


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a program.

    Attributes:
        kind: name, number, string, constant, or ``sign`` for keywords, operators, brackets.
        role: ``definition`` for a symbol's own name, ``import`` within an import, else empty.
        depth: of its node in the tree.
    """

    kind: str
    text: str
    line: int
    role: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Code:
    """A parsed text. `broken` says that the language's grammar does not accept all of it."""

    language: Language
    symbols: tuple[Symbol, ...]
    tokens: tuple[Token, ...]
    broken: bool = False

    def references(self, name: str) -> tuple[Token, ...]:
        """Where a name is used, not where it is defined or imported."""
        return tuple(token for token in self.tokens if token.text == name and not token.role)

    def definitions(self, name: str) -> tuple[Symbol, ...]:
        return tuple(symbol for symbol in self.symbols if symbol.name == name)

    def symbol_at(self, line: int) -> Symbol | None:
        """The innermost symbol around a line."""
        around = [s for s in self.symbols if s.start_line <= line <= s.end_line]
        return min(around, key=lambda s: s.end_byte - s.start_byte, default=None)


@lru_cache(maxsize=_CACHED_TEXTS)
def parse(text: str, language: Language) -> Code:
    """Symbols and tokens of a text.

    A text that is longer than 1 MiB, or of no language with symbols, has no symbols, and its
    words as tokens. Raises `InvalidInput` where the extra ``review`` is not installed.
    """
    data = text.encode("utf-8", "replace")
    grammar = GRAMMARS.get(language)
    if grammar is None or len(data) > MAX_PARSED_BYTES:
        return Code(language, (), tuple(_words(text)))
    tree = _parser(language).parse(data)
    walk = _Walk(grammar, language, data)
    walk.run(tree.walk())
    return Code(language, tuple(walk.symbols), tuple(walk.tokens), tree.root_node.has_error)


def symbols(text: str, language: Language) -> tuple[Symbol, ...]:
    """What a text defines, in its order.

    >>> [(s.kind, s.qualified) for s in symbols("class A:\\n  def f(self): ...", Language.PYTHON)]
    [('class', 'A'), ('method', 'A.f')]
    """
    return parse(text, language).symbols


_local = threading.local()


def _parser(language: Language) -> Parser:
    """A parser for each thread: they are not shared."""
    parsers: dict[Language, Parser] = _local.__dict__.setdefault("parsers", {})
    if language not in parsers:
        parsers[language] = make_parser(language)
    return parsers[language]


def _words(text: str) -> Iterator[Token]:
    for number, line in enumerate(text.splitlines(), start=1):
        for match in _WORD.finditer(line):
            word = match[0]
            kind = "number" if word[0].isdigit() else "name" if len(word) > 1 else "sign"
            yield Token("name" if word.isidentifier() else kind, word, number)


@dataclass(slots=True)
class _Frame:
    """What holds below a node that is being walked."""

    container: str
    in_class: bool = False
    in_function: bool = False
    in_import: bool = False
    decorators: tuple[str, ...] = ()
    start: tuple[int, int] | None = None


class _Walk:
    def __init__(self, grammar: Grammar, language: Language, data: bytes) -> None:
        self.symbols: list[Symbol] = []
        self.tokens: list[Token] = []
        self._grammar = grammar
        self._language = language
        self._data = data
        self._attributes: list[Node] = []
        self._names: set[int] = set()

    def run(self, cursor: TreeCursor) -> None:
        """Depth first without recursion, so that deep nesting is no danger."""
        frames = [_Frame("")]
        while True:
            node = cursor.node
            below = self._enter(node, frames[-1], len(frames)) if node else None
            if below is not None and cursor.goto_first_child():
                frames.append(below)
                continue
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    return
                frames.pop()

    def _text(self, node: Node) -> str:
        return self._data[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def _enter(self, node: Node, frame: _Frame, depth: int) -> _Frame | None:
        """Take note of a node; what holds below it, or None where nothing below counts."""
        kind = node.type
        grammar = self._grammar
        if kind in grammar.comments or self._is_docstring(node):
            return None
        literal = grammar.literals.get(kind)
        if literal is not None:
            self._add(literal, node, frame, depth)
            return None
        if node.child_count == 0:
            named = "name" if node.is_named else "sign"
            self._add(named, node, frame, depth)
            return None
        if kind in grammar.imports:
            return _Frame(frame.container, frame.in_class, frame.in_function, in_import=True)
        if kind in ("attribute_item", "inner_attribute_item"):
            self._attributes.append(node)
            return frame
        if kind == "decorated_definition":
            return self._decorated(node, frame)
        below = self._define(node, frame)
        if kind.endswith(("_item", "_definition", "_declaration", "_statement")):
            self._attributes.clear()
        return below

    def _add(self, kind: str, node: Node, frame: _Frame, depth: int) -> None:
        if node.is_missing or node.start_byte == node.end_byte:
            return
        role = "import" if frame.in_import else ""
        if node.start_byte in self._names:
            role = "definition"
        text = self._text(node)
        self.tokens.append(Token(kind, text, node.start_point[0] + 1, role, depth))

    def _is_docstring(self, node: Node) -> bool:
        if self._language is not Language.PYTHON or node.type != "expression_statement":
            return False
        if node.named_child_count != 1 or node.named_children[0].type != "string":
            return False
        # A string that stands alone does nothing, wherever it is in a body.
        parent = node.parent
        return parent is not None and parent.type in _PYTHON_BODIES

    def _decorated(self, node: Node, frame: _Frame) -> _Frame:
        decorators = tuple(
            self._text(child).lstrip("@").strip()
            for child in node.named_children
            if child.type == "decorator"
        )
        start = (node.start_point[0] + 1, node.start_byte)
        return _Frame(
            frame.container,
            frame.in_class,
            frame.in_function,
            decorators=decorators,
            start=start,
        )

    def _define(self, node: Node, frame: _Frame) -> _Frame:
        kind = node.type
        grammar = self._grammar
        container, in_class = frame.container, frame.in_class
        in_function = frame.in_function or kind in grammar.scopes
        field_name = grammar.containers.get(kind)
        defined = grammar.definitions.get(kind)
        if field_name is not None:
            named = node.child_by_field_name(field_name)
            if named is not None:
                container = _joined(container, re.split(r"[<\s]", self._text(named))[0])
            return _Frame(container, in_class=True, in_function=False)
        if defined is not None:
            name = self._symbol(node, frame, defined)
            if name:
                container = _joined(container, name)
            is_class = defined in ("class", "interface")
            return _Frame(container, in_class=is_class, in_function=in_function and not is_class)
        if kind in grammar.variables and not frame.in_function:
            name = self._variable(node, frame, grammar.variables[kind])
            if name:
                container = _joined(container, name)
            return _Frame(container, in_class, in_function)
        if kind == "call_expression" and self._language in (Language.TYPESCRIPT, Language.TSX):
            self._test_call(node, frame)
        return _Frame(container, in_class, in_function, frame.in_import)

    def _symbol(self, node: Node, frame: _Frame, kind: str) -> str:
        named = node.child_by_field_name("name")
        if named is None:
            return ""
        container = frame.container
        if kind == "function" and frame.in_class:
            kind = "method"
        if node.type == "method_declaration":
            container = self._receiver(node)
        self._keep(self._text(named), kind, container, node, named, frame)
        return self._text(named)

    def _receiver(self, node: Node) -> str:
        """Go's ``func (s *Store[T]) Close()`` belongs to ``Store``."""
        receiver = node.child_by_field_name("receiver")
        names = re.findall(r"[A-Za-z_]\w*", self._text(receiver)) if receiver else []
        return names[1] if len(names) > 1 else names[0] if names else ""

    def _variable(self, node: Node, frame: _Frame, kind: str) -> str:
        named = node.child_by_field_name("left") or node.child_by_field_name("name")
        if named is None:
            return ""
        if named.type not in ("identifier", "type", "property_identifier"):
            return ""
        value = node.child_by_field_name("value")
        if value is not None and value.type in _FUNCTION_VALUES:
            kind = "function"
        self._keep(self._text(named), kind, frame.container, node, named, frame)
        return self._text(named)

    def _test_call(self, node: Node, frame: _Frame) -> None:
        called = node.child_by_field_name("function")
        arguments = node.child_by_field_name("arguments")
        if called is None or arguments is None or not _TEST_CALL.match(self._text(called)):
            return
        first = arguments.named_children[0] if arguments.named_children else None
        if first is not None and first.type in ("string", "template_string"):
            name = self._text(first)[1:-1]
            self._keep(name, "test", frame.container, node, None, frame, (self._text(called),))

    def _keep(
        self,
        name: str,
        kind: str,
        container: str,
        node: Node,
        named: Node | None,
        frame: _Frame,
        decorators: tuple[str, ...] = (),
    ) -> None:
        start_line, start_byte = frame.start or (node.start_point[0] + 1, node.start_byte)
        if self._attributes and kind != "field":
            first = self._attributes[0]
            start_line, start_byte = first.start_point[0] + 1, first.start_byte
            decorators = tuple(self._text(a).strip("#![] \n") for a in self._attributes)
        if named is not None:
            self._names.add(named.start_byte)
        end_line = node.end_point[0] + (1 if node.end_point[1] or node.end_byte == 0 else 0)
        self.symbols.append(
            Symbol(
                name=name,
                kind=kind,
                container=container,
                start_line=start_line,
                end_line=max(end_line, start_line),
                start_byte=start_byte,
                end_byte=node.end_byte,
                decorators=decorators or frame.decorators,
            )
        )


def _joined(container: str, name: str) -> str:
    return f"{container}.{name}" if container else name
