"""Small faults that could be written by mistake, made one at a time in a module's syntax tree.

Rule 1. A mutant changes one place, and what it changes is what the program does: annotations,
docstrings, `__all__` and the words of exceptions are left alone.
Rule 2. A place is known by its number in the order of the walk, so that the process that runs the
tests finds the same one again.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_COMPARED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_CALCULATED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault in one module."""

    number: int
    """Its place in the order of the walk."""
    line: int
    change: str
    """What was, and what is instead, as source."""
    is_constant: bool
    """Whether it is a number that a module or a class names, not one within a function."""


def mutants_of(source: str) -> list[Mutant]:
    """Return all faults that can be made in a module, in their order."""
    walk = _Walk(ast.parse(source), wanted=None)
    walk.go()
    return walk.found


def mutated(source: str, number: int) -> ast.Module:
    """Return the module's tree with one fault made. Raises IndexError where there is no such."""
    walk = _Walk(ast.parse(source), wanted=number)
    walk.go()
    if not 0 <= number < len(walk.found):
        raise IndexError(f"there is no mutant {number}")
    return ast.fix_missing_locations(walk.tree)


class _Walk:
    """Visits the places of a tree in a fixed order; makes the fault at the wanted one."""

    def __init__(self, tree: ast.Module, *, wanted: int | None) -> None:
        self.tree = tree
        self.found: list[Mutant] = []
        self._wanted = wanted
        self._in_function = False

    def go(self) -> None:
        for body, in_function in self._bodies(self.tree):
            self._in_function = in_function
            siblings = _attributes_of(body)
            for node in body:
                self._statement(node, body)
            for node in body:
                self._expressions(node, siblings)

    def _bodies(self, tree: ast.AST) -> Iterator[tuple[list[ast.stmt], bool]]:
        """Yield the statements that are run, and whether a function holds them."""
        for scope in ast.walk(tree):
            if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from ((statements, True) for statements in _lists(scope))
            elif isinstance(scope, ast.Module | ast.ClassDef):
                yield [each for each in scope.body if _is_value(each)], False

    def _make(self, node: ast.AST, was: str) -> bool:
        """Note a fault; return whether it is the wanted one, which the caller then makes."""
        number = len(self.found)
        is_constant = isinstance(node, ast.Constant) and not self._in_function
        self.found.append(Mutant(number, getattr(node, "lineno", 0), was, is_constant))
        return number == self._wanted

    def _statement(self, node: ast.stmt, body: list[ast.stmt]) -> None:
        """Leave a statement out that is done for its effect."""
        is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)
        if (is_call or isinstance(node, ast.AugAssign)) and self._make(
            node, f"{_short(node)} -> pass"
        ):
            body[body.index(node)] = ast.copy_location(ast.Pass(), node)

    def _expressions(self, statement: ast.stmt, siblings: dict[str, str]) -> None:
        if isinstance(statement, ast.Raise | ast.Assert):
            return
        for node in _own_nodes(statement):
            if isinstance(node, ast.Constant | ast.Attribute):
                self._value(node, siblings)
            else:
                self._operation(node)

    def _value(self, node: ast.Constant | ast.Attribute, siblings: dict[str, str]) -> None:
        match node:
            case ast.Constant(value=bool() as value):
                self._swap(node, "value", not value)
            case ast.Constant(value=int() | float() as value):
                self._swap(node, "value", value + 1)
            case ast.Attribute(attr=name, ctx=ast.Load()) if name in siblings:
                self._swap(node, "attr", siblings[name])
            case _:
                pass

    def _operation(self, node: ast.expr) -> None:
        match node:
            case ast.Compare(ops=[operator, *_]):
                self._swap(node, "ops", [_COMPARED[type(operator)](), *node.ops[1:]])
            case ast.BinOp(op=operator) if type(operator) in _CALCULATED and not _is_text(node):
                self._swap(node, "op", _CALCULATED[type(operator)]())
            case ast.BoolOp(op=operator):
                self._swap(node, "op", ast.And() if isinstance(operator, ast.Or) else ast.Or())
            case ast.UnaryOp(op=ast.Not()):
                self._swap(node, "operand", ast.UnaryOp(ast.Not(), node.operand))
            case ast.IfExp():
                self._swap(node, "body", node.orelse, orelse=node.body)
            case _:
                pass

    def _swap(self, node: ast.expr, field: str, value: object, **more: object) -> None:
        was = _short(node)
        old = {name: getattr(node, name) for name in (field, *more)}
        for name, new in {field: value, **more}.items():
            setattr(node, name, new)
        is_now = _short(node)
        if not self._make(node, f"{was} -> {is_now}"):
            for name, new in old.items():
                setattr(node, name, new)


def _is_value(statement: ast.stmt) -> bool:
    """Whether a statement of a module or class says what something is worth: a limit, a table."""
    if isinstance(statement, ast.Assign):
        return not any(ast.unparse(target) == "__all__" for target in statement.targets)
    return isinstance(statement, ast.AnnAssign) and statement.value is not None


def _lists(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[list[ast.stmt]]:
    """Yield all lists of statements of a function but those of functions in it."""
    waiting: list[ast.AST] = [function]
    while waiting:
        node = waiting.pop()
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield value
            if isinstance(value, list):
                waiting += [
                    each
                    for each in value
                    if isinstance(each, ast.stmt | ast.ExceptHandler | ast.match_case)
                    and not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                ]


def _own_nodes(statement: ast.stmt) -> Iterator[ast.expr]:
    """Yield a statement's expressions, but annotations and what stands in statements within it."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "pattern"):
                continue
            children = value if isinstance(value, list) else [value]
            waiting += [
                each
                for each in children
                if isinstance(each, ast.expr | ast.keyword | ast.comprehension | ast.withitem)
            ]
        if isinstance(node, ast.expr):
            yield node


def _attributes_of(body: list[ast.stmt]) -> dict[str, str]:
    """Return for each field that is read beside others of the same record one of those others.

    What is mixed up in practice are two figures of one record: `row.p95` for `row.p99`.
    """
    read: dict[str, list[str]] = {}
    for statement in body:
        nodes = list(_own_nodes(statement))
        called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        for node in nodes:
            if id(node) in called:
                continue
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                names = read.setdefault(node.value.id, [])
                if node.attr not in names and node.value.id not in ("self", "cls"):
                    names.append(node.attr)
    return {
        name: names[(place + 1) % len(names)]
        for names in read.values()
        if len(names) > 1
        for place, name in enumerate(names)
    }


def _is_text(node: ast.BinOp) -> bool:
    """Whether an operation is one on text or lists, where another one only raises."""
    kinds = ast.JoinedStr | ast.List | ast.Tuple | ast.Dict | ast.Set
    return any(
        isinstance(side, kinds) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )


def _short(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:90]
