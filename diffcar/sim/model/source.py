"""Opening somebody's car, MJCF, URDF or xacro, with the slips mended that only its text shows."""

import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from diffcar.base.errors import ModelError
from diffcar.base.sheet import parse_number
from diffcar.sim.model.model_file import open_model, parts_of_model

if TYPE_CHECKING:
    import mujoco

__all__ = ["Source", "open_source"]

_MESHES = (".stl", ".obj", ".msh")
_LIMITS = ("lower", "upper", "velocity")


@dataclass
class Source:
    """A file as MuJoCo has parsed it, and what it says that MuJoCo leaves out."""

    spec: "mujoco.MjSpec"
    """To be rewritten."""
    is_urdf: bool = False
    """Or it is MJCF."""
    notes: list[str] = field(default_factory=list)
    """What was mended in its text."""
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of joints that are declared to turn without end and have limits all the same [rad]."""
    speeds: dict[str, float] = field(default_factory=dict)
    """The `velocity` of a URDF's joints [rad/s], which MuJoCo does not read."""
    actuated: set[str] = field(default_factory=set)
    """Joints that a URDF's transmissions drive."""


def open_source(file: Path, folder: Path) -> Source:
    """Parse a file, whose meshes may lie in ROS packages.

    Args:
        folder: Where copies of meshes go that cannot be used under their names.

    Raises:
        ModelError: If it is a xacro that cannot be expanded, or a mesh is missing.
        ValueError: If it is far too large.
        ParseError: If it is no XML.
    """
    parts_of_model(file)
    root = ET.parse(file).getroot()
    notes = []
    if _is_xacro(root):
        if root.tag != "robot":
            told = f"{str(file)!r} is an MJCF written as xacro, and URDF alone is expanded"
            raise ModelError(told, f"expand it where ROS is: xacro {file.name} > model.xml")
        root = ET.fromstring(_expanded(file))
        notes.append("expanded as xacro")
    if root.tag != "robot":
        return Source(open_model(file), notes=notes)
    import mujoco

    notes += _mend_meshes(root, file, folder)
    source = Source(mujoco.MjSpec.from_string(ET.tostring(root, "unicode")), True, notes)
    for joint in root.iter("joint"):
        _read_limits(joint, source)
    for driver in (*root.iter("transmission"), *root.iter("ros2_control")):
        for joint in driver.iter("joint"):
            if driver.tag == "transmission" or joint.find("command_interface") is not None:
                source.actuated.add(joint.get("name", ""))
    return source


def _read_limits(joint: ET.Element, source: Source) -> None:
    """Take of a URDF's joint what MuJoCo does not."""
    name, limit = joint.get("name", ""), joint.find("limit")
    if limit is None:
        return
    low, high, speed = (parse_number(limit.get(own, "")) for own in _LIMITS)
    is_endless = joint.get("type") == "continuous"
    if is_endless and low is not None and high is not None and low < high:
        source.limits[name] = low, high
    if speed is not None and speed > 0:
        source.speeds[name] = speed
    for what in ("effort", "velocity"):
        given = parse_number(limit.get(what, ""))
        if given is not None and given <= 0:
            source.notes.append(f"the {what} {given:g} of {name} is taken for no limit")


def _is_xacro(root: ET.Element) -> bool:
    """Return whether there is anything left to expand."""
    return any(
        "xacro" in str(element.tag) or any("${" in v or "$(" in v for v in element.attrib.values())
        for element in root.iter()
    )


def _expanded(file: Path) -> str:
    """Return the URDF that a xacro stands for."""
    told = f"{str(file)!r} is a xacro, which stands for a model and is none yet"
    by_hand = f"expand it where ROS is: xacro {file.name} > {file.name.partition('.')[0]}.urdf"
    try:
        import xacro
        from xacrodoc import XacroDoc
    except ImportError:
        hint = f"pip install 'diffcar[xacro]' and try again, or {by_hand}"
        raise ModelError(told, hint) from None
    try:
        xacro.init_stacks(str(file))  # so that files are included from beside it
        return str(XacroDoc.from_file(str(file), resolve_packages=False).to_urdf_string())
    # Whatever its expressions run into.
    except Exception as error:
        raise ModelError(f"{told}; expanding it: {error}", by_hand) from None


def _mend_meshes(root: ET.Element, file: Path, folder: Path) -> Iterator[str]:
    """Give a URDF's meshes absolute names, and leave out looks that MuJoCo cannot read."""
    extension = root.find("mujoco")
    extension = ET.SubElement(root, "mujoco") if extension is None else extension
    compiler = extension.find("compiler")
    compiler = ET.SubElement(extension, "compiler") if compiler is None else compiler
    places = [file.parent, file.parent / compiler.get("meshdir", "")]
    compiler.attrib |= {"strippath": "false", "discardvisual": "false", "balanceinertia": "true"}
    taken: dict[str, Path] = {}
    for link in root.iter("link"):
        for shape in (*link.findall("visual"), *link.findall("collision")):
            mesh = shape.find("geometry/mesh")
            if mesh is None:
                continue
            name = mesh.get("filename", "")
            found, why = _find_mesh(name, file, places)
            if found is None or found.suffix.lower() not in _MESHES:
                why = why if found is None else f"MuJoCo reads {', '.join(_MESHES)} alone"
                if shape.tag == "collision" and found is None:
                    hint = "replace package:// by paths relative to the model, or put them there"
                    raise ModelError(f"{str(file)!r}: the mesh {name!r}: {why}", hint)
                link.remove(shape)
                yield f"the mesh {name!r} of {link.get('name')!r} is left out: {why}"
                continue
            if taken.setdefault(found.stem, found) != found:  # MuJoCo calls meshes by their stem
                found = Path(shutil.copy(found, folder / f"{len(taken)}-{found.name}"))
                taken[found.stem] = found
            mesh.set("filename", str(found.resolve()))


def _find_mesh(name: str, file: Path, places: list[Path]) -> tuple[Path | None, str]:
    """Return where a mesh is, or what was looked for in vain."""
    if not name.startswith("package://"):
        inner = name.removeprefix("file://")
        options = [place / own for place in places for own in (inner, Path(inner).name)]
        return next(filter(Path.is_file, options), None), "there is no such file"
    package, _, inner = name.removeprefix("package://").partition("/")
    for above in file.resolve().parents:
        for root in (above, above / package):
            if _is_package(root, package):
                if (root / inner).is_file():
                    return root / inner, ""
                return None, f"the package {package!r} at {str(root)!r} has no such file"
    beside = [place / Path(inner).name for place in places]
    return next(
        filter(Path.is_file, beside), None
    ), f"no folder above the model is the package {package!r}, by its name or its package.xml"


def _is_package(folder: Path, name: str) -> bool:
    """Return whether a folder is a ROS package of a name."""
    manifest = folder / "package.xml"
    if manifest.is_file():
        try:
            return (ET.parse(manifest).getroot().findtext("name") or "").strip() == name
        except ET.ParseError:
            return False
    return folder.name == name and folder.is_dir()
