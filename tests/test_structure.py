"""The rules of docs/architecture.md that a machine can check."""

import ast
import functools
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import diffcar

PACKAGE = Path(diffcar.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# From the ground up: a room imports from lower floors alone. `diffcar/__init__.py` is above all.
FLOORS = (
    {"base"},
    {"gradients", "sim", "path"},
    {"controllers", "losses"},
    {"tasks"},
    {"demonstrations"},
    {"training"},
    {"checks", "comparison", "export"},
    {"cli"},
    {"__main__"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS, 1) for room in rooms}


def name_of(file: Path) -> str:
    """Return a module's full name."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """Return the first part of a module's name below the package; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


MODULES = {name_of(file): file for file in FILES}


def names_for_types(tree: ast.AST) -> set[ast.AST]:
    """Return what stands below `if TYPE_CHECKING`, which is never imported."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }


def imports_of(file: Path) -> Iterator[str]:
    """Yield every module that a file imports, at the top or inside functions."""
    tree = ast.parse(file.read_text())
    skipped = names_for_types(tree)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module or ""


# What its tests share is read in one worker alone.
pytestmark = pytest.mark.xdist_group("structure")


@functools.cache
def imports() -> dict[str, set[str]]:
    """Return what each module imports."""
    return {name: set(imports_of(file)) for name, file in MODULES.items()}


def own_imports(name: str) -> set[str]:
    """Return what a module imports of the package."""
    return imports()[name] & MODULES.keys()


def test_every_room_has_its_floor() -> None:
    """Nine floors; a tenth, or a room that nobody knows, is a decision and not an accident."""
    assert len(FLOORS) <= 9
    assert {room_of(name) for name in MODULES} - {""} == set(FLOOR)


def test_imports_point_down() -> None:
    """To a lower floor, or to the module's own room; the public names are for others."""
    upwards = [
        f"{name} imports {imported}"
        for name in MODULES
        if (room := room_of(name))
        for imported in own_imports(name)
        if FLOOR.get(room_of(imported), 99) >= FLOOR[room] and room_of(imported) != room
    ]
    assert upwards == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Within rooms, too: who has read a module's imports has read what it stands on."""
    finished: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in finished:
            for imported in own_imports(name) - {"diffcar"}:
                visit(imported, (*way, name))
            finished.add(name)

    for name in MODULES:
        visit(name, ())


def test_engines_and_terminal_stay_in_their_rooms() -> None:
    """Genesis and MuJoCo are imported in sim/ alone, Typer and rich in cli/ alone."""
    rooms = dict.fromkeys(("genesis", "mujoco", "quadrants"), "sim")
    rooms |= dict.fromkeys(("typer", "rich", "plotext"), "cli")
    strangers = [
        f"{name} imports {library}"
        for name in MODULES
        for library in {imported.partition(".")[0] for imported in imports()[name]}
        if room_of(name) != rooms.get(library, room_of(name))
    ]
    assert strangers == []


def test_what_others_import_is_public() -> None:
    """What a module takes from another one is in that one's `__all__`, and is its own."""
    private = []
    for name, file in MODULES.items():
        if room_of(name) == "__main__":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in MODULES:
                public = public_names(node.module)
                private += [
                    f"{name} takes {alias.name} from {node.module}"
                    for alias in node.names
                    if f"{node.module}.{alias.name}" not in MODULES and alias.name not in public
                ]
    assert private == []


@functools.cache
def public_names(module: str) -> list[str]:
    """Return what a module lists as public: by its text, since kernels import Genesis."""
    for node in ast.parse(MODULES[module].read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            if isinstance(node.value, ast.List | ast.Tuple):
                return list(ast.literal_eval(node.value))
            return list(importlib.import_module(module).__all__)
    return []


KERNELS = ("centre_of_mass", "plane_contacts", "solver_adjoint")


@pytest.mark.parametrize(
    "are_kernels",
    # Which import Genesis, and that takes longest.
    [False, pytest.param(True, marks=pytest.mark.genesis)],
)
def test_public_names_exist(are_kernels: bool) -> None:
    """Every module with definitions lists its public names, and they are there."""
    wrong = []
    for name, file in MODULES.items():
        if room_of(name) == "__main__" or are_kernels != name.endswith(KERNELS):
            continue
        module, definitions = importlib.import_module(name), (ast.FunctionDef, ast.ClassDef)
        public = getattr(module, "__all__", ())
        if any(isinstance(own, definitions) for own in ast.parse(file.read_text()).body):
            wrong += [] if public else [f"{name} has no __all__"]
        wrong += [f"{name} lacks {own}" for own in public if not hasattr(module, own)]
    assert wrong == []
