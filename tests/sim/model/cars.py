"""Small models of cars, as other people write them."""

from pathlib import Path

import numpy as np

from diffcar.sim.config import CarReadingConfig
from diffcar.sim.model.adopt import adopt_model
from diffcar.sim.model.vehicle import Vehicle

_LINK = """<link name="{name}"><inertial><mass value="{mass}"/>
<inertia ixx="2e-4" iyy="2e-4" izz="2e-4" ixy="0" ixz="0" iyz="0"/></inertial>{collision}</link>"""
_TYRE = """<collision><geometry><cylinder radius="0.05" length="0.045"/></geometry></collision>"""
_JOINT = """<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>
<origin xyz="{place}" rpy="{turn}"/><axis xyz="0 0 {sign}"/>
<limit lower="-0.42" upper="0.42" effort="10" velocity="100"/></joint>"""


def link(name: str, mass: float, collision: str = "") -> str:
    return _LINK.format(name=name, mass=mass, collision=collision)


def urdf(wheel: str = "{side}_{end}_wheel_joint") -> str:
    """Return a car as many draw it: wheels about z turned over, the base at the ground."""
    parts = [link("base_link", 3)]

    def add(child: str, collision: str, **joint: object) -> None:
        parts.append(link(child, 0.1, collision))
        parts.append(_JOINT.format(child=child, **joint))

    for side, y, sign in (("left", 0.1, -1), ("right", -0.1, 1)):
        add(
            f"{side}_hinge",
            "",
            name=f"{side}_steering_hinge_joint",
            kind="revolute",
            parent="base_link",
            place=f"0.16 {y} 0.05",
            turn="0 0 0",
            sign=1,
        )
        for end, parent, place in (
            ("front", f"{side}_hinge", "0 0 0"),
            ("rear", "base_link", f"-0.16 {y} 0.05"),
        ):
            add(
                f"{side}_{end}",
                _TYRE,
                name=wheel.format(side=side, end=end),
                kind="continuous",
                parent=parent,
                place=place,
                turn="1.5708 0 0",
                sign=sign,
            )
    return f'<robot name="racer">{"".join(parts)}</robot>'


_HUB = '<inertial pos="0 0 0" mass="0.05" diaginertia="1e-5 1e-5 1e-5"/>'
_STEER = '<joint name="{n}_steer" axis="0 0 1" range="-0.4 0.4"/>'
_WHEEL = """<joint name="{n}_wheel" axis="0 1 0"/>
<geom name="{n}_tyre" type="cylinder" size="0.05 0.02" euler="1.5707963 0 0" mass="0.1"/>"""
_KNUCKLE = f'<body name="{{n}}_knuckle" pos="{{p}}">{_HUB}{_STEER}'
FRONT = f'{_KNUCKLE}<body name="{{n}}">{_WHEEL}</body></body>'
REAR = f'<body name="{{n}}" pos="{{p}}">{_WHEEL}</body>'
HEAD = """<mujoco><compiler angle="radian"/><worldbody><body name="base" pos="0 0 0.05"><freejoint/>
<inertial pos="0 0 0.02" mass="3" diaginertia="0.01 0.02 0.025"/>
<geom name="hull" type="box" size="0.2 0.05 0.02" pos="0 0 0.03"/>"""
TAIL = "</body></worldbody></mujoco>"
PLACES = {"fl": "0.16 0.1 0", "fr": "0.16 -0.1 0", "rl": "-0.16 0.1 0", "rr": "-0.16 -0.1 0"}


def mjcf(*changes: tuple[str, str], front: str = FRONT, rear: str = REAR) -> str:
    """Return a car of 3.5 kg, a wheelbase of 0.32 m and wheels of 0.05 m, without actuators."""
    parts = [
        (front if name[0] == "f" else rear).format(n=name, p=place)
        for name, place in PLACES.items()
    ]
    text = HEAD + "".join(parts) + TAIL
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def actuators(text: str) -> tuple[str, str]:
    """Return the change that gives a car actuators, and what goes with them."""
    return "</worldbody>", f"</worldbody>{text}"


def write(folder: Path, text: str, name: str = "racer.urdf") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def adopted(
    folder: Path, text: str, name: str = "mine.xml", **reading: object
) -> tuple[Vehicle, str]:
    """Adopt a car; return it and all that is told of it."""
    there = folder / "adopted"
    there.mkdir(exist_ok=True)
    file = write(folder, text, name)
    car = adopt_model(file, there, CarReadingConfig(**reading))
    return car, " | ".join(car.assumptions)


def rest_height(vehicle: Vehicle) -> float:
    """Return how high over the road a car's base stands after half a second [m]."""
    import mujoco

    spec = mujoco.MjSpec.from_file(str(vehicle.file))
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1])
    model = spec.compile()
    model.opt.timestep = 0.005
    car = mujoco.MjData(model)
    car.qpos[2] = vehicle.base_height
    mujoco.mj_step(model, car, 100)
    assert np.isfinite(car.qpos).all()
    return float(car.qpos[2])


def tyre(radius: float) -> str:
    """Return the corners of a wheel as a mesh, its axle along y."""
    angles = 2 * np.pi * np.arange(48) / 48
    ring = radius * np.array([np.cos(angles), 0 * angles, np.sin(angles)]).T
    corners = np.concatenate([ring + np.array([0, side, 0]) for side in (-0.02, 0.02)])
    return " ".join(f"{value:.7f}" for value in corners.flatten())
