"""The grammar of conditions: text → tokens → nodes.

    disjunction = conjunction { ("||" | "or") conjunction }
    conjunction = negation { ("&&" | "and") negation }
    negation    = "not" negation | comparison
    comparison  = unary [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "in") unary ]
    unary       = "!" unary | primary
    primary     = "(" disjunction ")" | list | "has" "(" path ")" | path | literal

What the nodes mean is in `conditions`.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

from cortex_tui.local.paths import ExpressionError, Path, scan_path, scan_string

MAX_LENGTH = 2_000
"""Characters in a condition."""
MAX_DEPTH = 50
"""Parentheses, lists and negations within one another."""

_SPACE = re.compile(r"[ \t\r\n\f]*")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_SYMBOL = re.compile(r"===|!==|==|!=|<>|<=|>=|&&|\|\||.", re.DOTALL)
_WORD = re.compile(r"[^\W\d]\w*")

_WORDS = {"and": "&&", "or": "||", "not": "not", "in": "in", "has": "has"}
_CONSTANTS = {"true": True, "false": False, "null": None}
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in")
_SYMBOLS = {*_COMPARISONS, "&&", "||", "!", "(", ")", "[", "]", ","}
_ADVICE = {
    "=": "use == to compare",
    "===": "use == to compare",
    "!==": "use != to compare",
    "<>": "use != to compare",
    "&": "use && or and",
    "|": "use || or or",
    "{": "objects cannot be written in a condition; compare their parts",
    "?": "a condition has no ? :, only true and false",
    ".": "a path starts with a name, and a number with a digit",
    "-": "a condition does not calculate; a key such as order-id is written ['order-id']",
    **dict.fromkeys("+*/%", "a condition compares and does not calculate"),
    **dict.fromkeys("‘’‚“”„«»", "use straight quotes, ' or \""),
}
_NO_SYNONYMS = {
    **{word.upper(): word for word in _WORDS},
    **{word.upper(): word for word in _CONSTANTS},
    **{word.title(): word for word in _CONSTANTS},
    "None": "null",
    "nil": "null",
    "undefined": "null",
}


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: null, a boolean, a number or a string."""

    text: str
    start: int
    value: Any


@dataclass(frozen=True, slots=True)
class ListOf:
    """`[a, b]`"""

    text: str
    start: int
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Has:
    """`has(path)`"""

    text: str
    start: int
    path: Path


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values and one of `== != < <= > >= in`."""

    text: str
    start: int
    left: "Node"
    operator: str
    right: "Node"


@dataclass(frozen=True, slots=True)
class Not:
    """`!a` or `not a`"""

    text: str
    start: int
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Junction:
    """Two or more operands, all joined by `&&` or all by `||`."""

    text: str
    start: int
    operator: str
    operands: tuple["Node", ...]


Node = Literal | Path | ListOf | Has | Comparison | Not | Junction


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """A symbol or a word of the grammar; or "literal", "path", "end"."""
    text: str
    start: int
    value: Any = None


def parse(text: str) -> Node:
    """The node of a whole condition. Raises `ExpressionError`."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"a condition has at most {MAX_LENGTH:,} characters: this one has {len(text):,}",
            MAX_LENGTH,
        )
    if not text.strip():
        raise ExpressionError("the condition is empty: leave it out where there is none", 0)
    return _Parser(text).whole()


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = _end_of_space(text, 0)
    while position < len(text):
        token = _token(text, position)
        tokens.append(token)
        position = _end_of_space(text, position + len(token.text))
    tokens.append(_Token("end", "", len(text)))
    return tokens


def _end_of_space(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position


def _token(text: str, start: int) -> _Token:
    if text[start] in "'\"":
        string, end = scan_string(text, start)
        return _Token("literal", text[start:end], start, string)
    if number := _NUMBER.match(text, start):
        return _number(number)
    if word := _WORD.match(text, start):
        if word[0] in _WORDS:
            return _Token(_WORDS[word[0]], word[0], start)
        if word[0] in _CONSTANTS:
            return _Token("literal", word[0], start, _CONSTANTS[word[0]])
        if word[0] in _NO_SYNONYMS:
            raise ExpressionError(f"found {word[0]}: write {_NO_SYNONYMS[word[0]]}", start)
        path = scan_path(text, start)
        if path is not None:
            return _Token("path", path.text, start, path)
    symbol = _SYMBOL.match(text, start)
    found = symbol[0] if symbol else text[start]
    if found not in _SYMBOLS:
        shown = repr(found) if found.isprintable() else f"the character U+{ord(found):04X}"
        advice = _ADVICE.get(found, "strings stand in quotes, as in 'text'")
        raise ExpressionError(f"found {shown}: {advice}", start)
    return _Token(found, found, start)


def _number(literal: re.Match[str]) -> _Token:
    text, start = literal[0], literal.start()
    follower = literal.string[literal.end() : literal.end() + 1]
    if follower.isalnum() or follower in ("_", "."):
        raise ExpressionError(
            f"{text}{follower} is no number: write it like 10, -2.5 or 1e6", start
        )
    if literal[1] is None and literal[2] is None:
        value: int | float = int(text)
        if not -(2**63) <= value < 2**64:
            raise ExpressionError(f"{text} is too large: whole numbers have 64 bits", start)
    else:
        value = float(text)
        if math.isinf(value):
            raise ExpressionError(f"{text} is too large", start)
    return _Token("literal", text, start, value)


class _Parser:
    """Recursive descent over the tokens; `whole` is called once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._disjunction()
        if self._token.kind != "end":
            raise self._expected("an operator such as == or && or the end")
        return node

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *kinds: str) -> _Token | None:
        token = self._token
        if token.kind not in kinds:
            return None
        self._next += 1
        return token

    def _since(self, start: int) -> tuple[str, int]:
        """The text from `start` to the last token taken, and `start`."""
        last = self._tokens[self._next - 1]
        return self._text[start : last.start + len(last.text)], start

    def _expected(self, expected: str) -> ExpressionError:
        found = f"found {self._token.text}" if self._token.text else "it ends here"
        return ExpressionError(f"expected {expected}, but {found}", self._token.start)

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(
                f"more than {MAX_DEPTH} levels deep: use fewer parentheses", self._token.start
            )

    def _disjunction(self) -> Node:
        start = self._token.start
        operands = [self._conjunction()]
        while self._take("||"):
            operands.append(self._conjunction())
        if len(operands) == 1:
            return operands[0]
        return Junction(*self._since(start), "||", tuple(operands))

    def _conjunction(self) -> Node:
        start = self._token.start
        operands = [self._negation()]
        while self._take("&&"):
            operands.append(self._negation())
        if len(operands) == 1:
            return operands[0]
        return Junction(*self._since(start), "&&", tuple(operands))

    def _negation(self) -> Node:
        token = self._take("not")
        if token is None:
            return self._comparison()
        self._descend()
        operand = self._negation()
        self._depth -= 1
        return Not(*self._since(token.start), operand)

    def _comparison(self) -> Node:
        start = self._token.start
        left = self._unary()
        if self._token.kind == "not":
            raise ExpressionError("found not: write !(a in b)", self._token.start)
        operator = self._take(*_COMPARISONS)
        if operator is None:
            return left
        right = self._unary()
        if self._token.kind in _COMPARISONS:
            raise ExpressionError(
                f"found a second {self._token.text}: join two comparisons with &&",
                self._token.start,
            )
        return Comparison(*self._since(start), left, operator.kind, right)

    def _unary(self) -> Node:
        token = self._take("!")
        if token is None:
            return self._primary()
        self._descend()
        operand = self._unary()
        self._depth -= 1
        return Not(*self._since(token.start), operand)

    def _primary(self) -> Node:
        if token := self._take("literal"):
            return Literal(token.text, token.start, token.value)
        if token := self._take("path"):
            if self._token.kind == "(":
                raise ExpressionError(
                    f"{token.text} is called: the only function is has(path)", token.start
                )
            path: Path = token.value
            return path
        if token := self._take("has"):
            return self._has(token)
        if token := self._take("("):
            self._descend()
            node = self._disjunction()
            self._close(")")
            return node
        if token := self._take("["):
            self._descend()
            items: list[Node] = []
            while self._token.kind != "]":
                items.append(self._disjunction())
                if not self._take(","):
                    break
            self._close("]")
            return ListOf(*self._since(token.start), tuple(items))
        raise self._expected("a value such as payment.status, 'text', 10 or true")

    def _has(self, word: _Token) -> Node:
        if not self._take("("):
            raise self._expected("( after has")
        token = self._take("path")
        if token is None:
            raise self._expected("a path such as payment.status in has( )")
        if not self._take(")"):
            raise self._expected(") after the path")
        return Has(*self._since(word.start), token.value)

    def _close(self, bracket: str) -> None:
        if not self._take(bracket):
            raise self._expected(f"{bracket} to close what was opened")
        self._depth -= 1
