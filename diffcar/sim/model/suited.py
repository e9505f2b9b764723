"""Settings that follow from the car: one rule for each kind of quantity.

Defaults are those of the shipped car. Another one is `Vehicle.size` times as large, and so are the
lengths in its defaults; accelerations are the same, as far as its tyres and motors give them, and
so times and speeds grow with the root of lengths (Froude's similarity). The shipped car enlarged
would therefore be trained step by step as it is itself. docs/cars.md has the rules for users.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from diffcar.base.section import Follows, Section
from diffcar.sim.model.rules import GRAVITY
from diffcar.sim.model.vehicle import SHIPPED_MASS, Vehicle

__all__ = ["suited"]

SectionT = TypeVar("SectionT", bound=Section)

# The longest interval that settings may have [s].
_MOST_DT = 0.1
# Of the fastest that motors can be commanded.
_SPEED_SHARE = 0.75
# Of what tyres hold at best, before it tips over: easy roads leave some for mistakes.
_LATERAL_SHARE = 0.4
# Of what the driven wheels hold, and of what the motors give.
_GRIP_SHARE, _MOTOR_SHARE = 0.8, 0.75


def suited(settings: SectionT, vehicle: Vehicle, *, is_default: bool = False) -> SectionT:
    """Return settings as they suit a car: what nobody has set follows from it, the rest stays.

    They then count as set, so that to do it again changes nothing.

    Args:
        is_default: Whether all of them are for the shipped car, those that were set, too.
    """
    changed: dict[str, object] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        is_open = is_default or name not in settings.model_fields_set
        rules = [_RULES[own.kind] for own in field.metadata if isinstance(own, Follows)]
        if not rules:
            own = _inside(value, vehicle, is_open)
        else:
            own = _follow(rules[0], value, settings, vehicle) if is_open else value
        if own != value:
            changed[name] = own
    return settings.model_copy(update=changed) if changed else settings


def _inside(value: Any, car: Vehicle, is_default: bool) -> Any:  # noqa: ANN401
    """Return a value with the sections in it as they suit the car."""
    if isinstance(value, Section):
        return suited(value, car, is_default=is_default)
    if isinstance(value, list):
        return [_inside(each, car, is_default) for each in value]
    if isinstance(value, dict):
        return {name: _inside(each, car, is_default) for name, each in value.items()}
    return value


def _follow(rule: "Rule", value: Any, section: Section, car: Vehicle) -> Any:  # noqa: ANN401
    """Return a default as it suits the car, to three digits where it is another."""
    if isinstance(value, list):
        return [_follow(rule, each, section, car) for each in value]
    if value is None or (own := rule(value, car, section)) == value:
        return value
    return float(f"{own:.3g}")


def _control_interval(value: float, car: Vehicle, section: Any) -> float:  # noqa: ANN401
    """Return a control interval: of large cars half of what similarity asks for.

    They turn more sluggishly by their inertia, and steering that comes so late sways to and fro.
    """
    return min(value * car.root_size, max(value, value / 2 * car.root_size), _MOST_DT)


def _preview(value: float, car: Vehicle, section: Any) -> float:  # noqa: ANN401
    """Return how far ahead to look, in metres or in seconds."""
    return value * (car.size if section.preview_unit == "m" else car.root_size)


def _lateral(value: float, car: Vehicle, section: Any) -> float:  # noqa: ANN401
    """Return a lateral acceleration, which a share of the grip would stand in for."""
    tipping = car.track / 2 / car.height
    most = _LATERAL_SHARE * GRAVITY * min(car.friction, tipping)
    return value if section.grip is not None else min(value, most)


def _longitudinal(value: float, car: Vehicle, section: Any) -> float:  # noqa: ANN401
    """Return an acceleration along the path that motors and driven wheels can give."""
    motors = sum(car.max_drive_torques) / car.wheel_radius / car.mass
    grip = car.friction * GRAVITY * car.driven_load
    most = min(_MOTOR_SHARE * motors, _GRIP_SHARE * grip)
    return value if section.grip is not None else min(value, most)


Rule = Callable[[float, Vehicle, Any], float]
"""From a default, a car and the section of settings to the default for that car."""

_RULES: dict[str, Rule] = {
    "length": lambda value, car, _: value * car.size,
    "time": lambda value, car, _: value * car.root_size,
    "speed": lambda value, car, _: value * car.root_size,
    "rate": lambda value, car, _: value / car.root_size,
    "per area": lambda value, car, _: value / car.size**2,
    "per squared speed": lambda value, car, _: value / car.size,
    "force": lambda value, car, _: value * car.mass / SHIPPED_MASS,
    "control interval": _control_interval,
    "top speed": lambda value, car, _: min(value * car.root_size, _SPEED_SHARE * car.top_speed),
    "preview": _preview,
    "lateral acceleration": _lateral,
    "longitudinal acceleration": _longitudinal,
}
"""By what `Follows` calls a kind."""
