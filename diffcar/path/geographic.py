"""Latitudes and longitudes as metres on a plane, and the GPX files that hold them."""

import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from diffcar.base.csv_reader import read_text
from diffcar.base.errors import PathError

__all__ = ["read_gpx", "to_metres"]

# The ellipsoid of WGS 84: half its equator's diameter [m], and its flattening.
_RADIUS, _FLATTENING = 6378137.0, 1 / 298.257223563
_ECCENTRICITY_SQUARED = _FLATTENING * (2 - _FLATTENING)
# As a tree a file takes some ten times its size [bytes].
_LARGEST = 64_000_000


def to_metres(degrees: np.ndarray, file: Path) -> tuple[np.ndarray, tuple[float, float]]:
    """Project points to the plane that touches the Earth at the first of them.

    Args:
        degrees: Latitude and longitude (WGS 84), shape (N, 2).
        file: Where they come from.

    Returns:
        East and north of the first point [m], shape (N, 2), and that point [degrees].

    Raises:
        PathError: If they are no such angles.

    Source:
        B. Hofmann-Wellenhof, H. Lichtenegger and E. Wasle, "GNSS: Global Navigation Satellite
        Systems", 2008, chapter 8: from ellipsoidal to Cartesian and to local coordinates.
    """
    if len(degrees) == 0 or not (np.abs(degrees) <= (90.0, 180.0)).all():
        raise PathError(
            f"{str(file)!r} has no latitudes up to 90 and longitudes up to 180 degrees",
            hint="say which is which: --column x=LONGITUDE --column y=LATITUDE, in degrees",
        )
    latitude, longitude = np.radians(degrees).T
    normal = _RADIUS / np.sqrt(1 - _ECCENTRICITY_SQUARED * np.sin(latitude) ** 2)
    turn = longitude - longitude[0]  # from the meridian of the origin
    outward = normal * np.cos(latitude) * np.cos(turn)
    east = normal * np.cos(latitude) * np.sin(turn)
    up = normal * (1 - _ECCENTRICITY_SQUARED) * np.sin(latitude)
    north = math.cos(latitude[0]) * (up - up[0]) - math.sin(latitude[0]) * (outward - outward[0])
    return np.column_stack([east, north]), (float(degrees[0, 0]), float(degrees[0, 1]))


def read_gpx(file: Path) -> np.ndarray:
    """Return latitude and longitude of a GPX file's one track, or else route [degrees], (N, 2).

    Raises:
        PathError: If it cannot be read, is too large, or has no such points or several tracks.
    """
    hint = "export one drive as a GPX track"
    if file.stat().st_size > _LARGEST:
        raise PathError(f"{str(file)!r} is larger than {_LARGEST // 10**6} MB", hint)
    text = read_text(file, "the path file", error=PathError)
    if "<!" in text.replace("<!--", "").replace("<![CDATA[", ""):
        raise PathError(f"{str(file)!r} declares entities or a document type; no track does", hint)
    try:
        root = ElementTree.fromstring(text)
        drives = root.findall("{*}trk") or root.findall("{*}rte")
        found = [[*drive.iterfind(".//{*}trkpt"), *drive.iterfind("{*}rtept")] for drive in drives]
        whole = [own for own in found if own]
        points = [(float(own.attrib["lat"]), float(own.attrib["lon"])) for own in whole[0]]
    except IndexError:
        raise PathError(f"{str(file)!r} has no points of a track or route", hint) from None
    except (ElementTree.ParseError, KeyError, ValueError, RecursionError) as error:
        raise PathError(f"{str(file)!r} is no sound GPX file: {error}", hint) from None
    if len(whole) > 1:
        raise PathError(f"{str(file)!r} has {len(whole)} tracks or routes", hint)
    return np.array(points, dtype=float)
