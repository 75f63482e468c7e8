"""What each language's syntax tree calls its definitions, comments, imports and literals.

The names are those of the tree-sitter grammars; the code that walks a tree is in `_parse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lakecore.base import InvalidInput
from lakecore.code._languages import Language

if TYPE_CHECKING:
    from tree_sitter import Parser


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """One language.

    Attributes:
        definitions: from a node's type to the kind of symbol it defines.
        variables: the same for nodes that count only outside of functions.
        containers: nodes whose name is part of the names inside, though they define nothing,
            and the field that has it.
        scopes: nodes inside which variables are nobody else's.
        literals: from a node's type to ``number``, ``string`` or ``constant``; a string is
            one token with all that is inside.
    """

    definitions: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    containers: Mapping[str, str] = field(default_factory=dict)
    scopes: frozenset[str] = frozenset()
    comments: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    literals: Mapping[str, str] = field(default_factory=dict)


_PYTHON: Final = Grammar(
    definitions={"function_definition": "function", "class_definition": "class"},
    variables={"assignment": "variable", "type_alias_statement": "type"},
    scopes=frozenset(("function_definition", "lambda")),
    comments=frozenset(("comment",)),
    imports=frozenset(("import_statement", "import_from_statement", "future_import_statement")),
    literals={
        "string": "string",
        "integer": "number",
        "float": "number",
        "true": "constant",
        "false": "constant",
        "none": "constant",
    },
)
_RUST: Final = Grammar(
    definitions={
        "function_item": "function",
        "function_signature_item": "function",
        "struct_item": "class",
        "enum_item": "class",
        "union_item": "class",
        "trait_item": "interface",
        "mod_item": "module",
        "type_item": "type",
        "macro_definition": "macro",
        "const_item": "variable",
        "static_item": "variable",
        "enum_variant": "variant",
        "field_declaration": "field",
    },
    containers={"impl_item": "type"},
    scopes=frozenset(("function_item", "closure_expression")),
    comments=frozenset(("line_comment", "block_comment")),
    imports=frozenset(("use_declaration", "extern_crate_declaration")),
    literals={
        "string_literal": "string",
        "raw_string_literal": "string",
        "char_literal": "string",
        "integer_literal": "number",
        "float_literal": "number",
        "boolean_literal": "constant",
    },
)
_GO: Final = Grammar(
    definitions={
        "function_declaration": "function",
        "method_declaration": "method",
        "type_spec": "class",
        "type_alias": "type",
        "field_declaration": "field",
        "method_elem": "method",
    },
    variables={"const_spec": "variable", "var_spec": "variable"},
    scopes=frozenset(("function_declaration", "method_declaration", "func_literal")),
    comments=frozenset(("comment",)),
    imports=frozenset(("import_declaration",)),
    literals={
        "interpreted_string_literal": "string",
        "raw_string_literal": "string",
        "rune_literal": "string",
        "int_literal": "number",
        "float_literal": "number",
        "imaginary_literal": "number",
        "true": "constant",
        "false": "constant",
        "nil": "constant",
    },
)
_TYPESCRIPT: Final = Grammar(
    definitions={
        "function_declaration": "function",
        "generator_function_declaration": "function",
        "function_signature": "function",
        "class_declaration": "class",
        "abstract_class_declaration": "class",
        "interface_declaration": "interface",
        "type_alias_declaration": "type",
        "enum_declaration": "class",
        "method_definition": "method",
        "method_signature": "method",
        "abstract_method_signature": "method",
        "public_field_definition": "field",
        "property_signature": "field",
        "internal_module": "module",
    },
    variables={"variable_declarator": "variable"},
    scopes=frozenset(
        (
            "function_declaration",
            "generator_function_declaration",
            "method_definition",
            "arrow_function",
            "function_expression",
        )
    ),
    comments=frozenset(("comment", "html_comment")),
    imports=frozenset(("import_statement",)),
    literals={
        "string": "string",
        "regex": "string",
        "number": "number",
        "true": "constant",
        "false": "constant",
        "null": "constant",
        "undefined": "constant",
    },
)

GRAMMARS: Final[Mapping[Language, Grammar]] = {
    Language.PYTHON: _PYTHON,
    Language.RUST: _RUST,
    Language.GO: _GO,
    Language.TYPESCRIPT: _TYPESCRIPT,
    Language.TSX: _TYPESCRIPT,
}


def make_parser(language: Language) -> Parser:
    """A parser of tree-sitter. Raises `InvalidInput` where the extra is not installed."""
    try:
        import tree_sitter

        return tree_sitter.Parser(tree_sitter.Language(_handle(language)))
    except ImportError as error:
        raise InvalidInput(
            "symbols need libraries that are not installed",
            expected="tree-sitter and its grammars",
            found=f"no module {error.name!r}",
            hint='Install them: pip install "lakecore[review]".',
        ) from error


def _handle(language: Language) -> object:
    if language is Language.PYTHON:
        import tree_sitter_python

        return tree_sitter_python.language()
    if language is Language.RUST:
        import tree_sitter_rust

        return tree_sitter_rust.language()
    if language is Language.GO:
        import tree_sitter_go

        return tree_sitter_go.language()
    import tree_sitter_typescript

    if language is Language.TSX:
        return tree_sitter_typescript.language_tsx()
    return tree_sitter_typescript.language_typescript()
