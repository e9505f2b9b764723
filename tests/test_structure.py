"""The rules of docs/architecture.md that a machine can check."""

import ast
import importlib
from pathlib import Path

import pytest

import diffcar

PACKAGE = Path(diffcar.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the bottom up: a module may import from its own layer and from those before it.
LAYERS = (
    ("errors", "resources"),
    ("files", "config", "numerals"),
    ("geometry",),
    ("path",),
    ("sim.contract", "sim.vehicle", "sim.backend", "sim.repairs"),
    ("tracking", "starts", "sim"),
    ("controllers",),
    ("rollout", "reaching", "pushing"),
    ("losses", "evaluation", "drive", "disturbances"),
    ("suite", "comparison", "verdicts", "verdict_texts"),
    ("demonstrations",),
    ("gradcheck", "plots", "trajectory_files", "comparison_files", "plots_compare"),
    ("report",),
    ("training",),
    ("commands",),
    ("cli",),
)


def name_of(file: Path) -> str:
    """Return a module's name below the package."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(name: str) -> int:
    """Return the layer of the longest prefix that is listed."""
    matches = [
        (len(entry), index)
        for index, layer in enumerate(LAYERS)
        for entry in layer
        if name == entry or name.startswith(entry + ".")
    ]
    assert matches, f"{name} belongs to no layer: add it to LAYERS"
    return max(matches)[1]


def imports_of(file: Path) -> set[str]:
    """Return every module that a file imports, at the top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            found.add(node.module or "")
            # `from diffcar.a import b` may name a module b.
            found |= {
                f"{node.module}.{alias.name}"
                for alias in node.names
                if (PACKAGE.parent / f"{node.module}.{alias.name}".replace(".", "/"))
                .with_suffix(".py")
                .is_file()
            }
    return found


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_imports_point_downward(file: Path) -> None:
    """No module imports from a layer above its own."""
    name = name_of(file)
    if name in ("", "__main__"):
        return
    for imported in imports_of(file):
        if imported.startswith("diffcar."):
            below = imported.removeprefix("diffcar.")
            if below.startswith("__"):
                continue
            assert layer_of(below) <= layer_of(name), f"{name} imports {below}"


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_engines_and_terminal_stay_in_their_packages(file: Path) -> None:
    """Genesis and MuJoCo are imported in sim/ alone, Typer and rich in cli/ alone."""
    roots = {name.partition(".")[0] for name in imports_of(file)}
    area = name_of(file).partition(".")[0]
    assert area == "sim" or not roots & {"genesis", "mujoco", "quadrants"}
    assert area == "cli" or not roots & {"typer", "rich", "plotext"}


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_public_names_exist(file: Path) -> None:
    """Every library module lists its public names, and they are there."""
    name = name_of(file)
    if file.name == "__main__.py":
        return
    module = importlib.import_module(f"diffcar.{name}".rstrip("."))
    has_definitions = any(
        isinstance(node, ast.FunctionDef | ast.ClassDef)
        for node in ast.parse(file.read_text()).body
    )
    if has_definitions:
        assert module.__all__, f"{name} has no __all__"
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public), f"{name} lacks {public}"
