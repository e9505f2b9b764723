"""A row of the certificate: many directions of one kind."""

import math
import statistics
from dataclasses import dataclass, replace

from diffcar.gradients.slopes import FLOOR_RATIO, DirectionalCheck

__all__ = ["CertificateRow"]


@dataclass(frozen=True)
class CertificateRow:
    """The directions of one regime, kind of parameter and horizon."""

    regime: str
    """`rolling`, `sliding` or `airborne`."""
    parameter: str
    """`actions`, `initial state` or `network weights`."""
    horizon: int
    """Control steps of the rollout."""
    checks: tuple[DirectionalCheck, ...]
    """One a direction."""
    regime_fraction: float
    """Fraction of the steps at which the cars were in the regime."""

    def against(self, reference: "CertificateRow") -> "CertificateRow":
        """Return the row with another row's gradients in place of the differences."""
        values = [check.analytic_gradient for check in reference.checks]
        typical = math.sqrt(statistics.fmean(value**2 for value in values))
        checks = []
        for check, value in zip(self.checks, values, strict=True):
            larger = max(abs(check.analytic_gradient), abs(value), FLOOR_RATIO * typical)
            error = abs(check.analytic_gradient - value) / larger
            checks.append(
                replace(
                    check,
                    numeric_gradient=value,
                    relative_error=error,
                    uncertainty=0.0,
                    is_kink=False,
                )
            )
        return replace(self, checks=tuple(checks))
