"""Certifies the gradient of any function of tensors: a problem goes in, a certificate comes out.

Every environment of a problem is a case of its own: a regime, a kind of parameter and a direction.
One backward pass and two rollouts a step size therefore check all of them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from diffcar.base.errors import DiffcarError
from diffcar.base.table import Column, Table
from diffcar.gradients.capabilities import outcome_column
from diffcar.gradients.finite_differences import check_environments
from diffcar.gradients.guards import ROW_GUARDS, Evidence, Failure
from diffcar.gradients.problem import Case, Pass, Problem
from diffcar.gradients.slopes import (
    FLOOR_RATIO,
    DirectionalCheck,
    Summary,
    Verdict,
    is_flat,
    relative_difference,
    summarise,
    verdict,
    worst_of,
)

__all__ = ["Certificate", "CertificateRow", "attempt", "certify"]

# What the gradient that another one is held against must be right to by differences.
_REFERENCE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class CertificateRow:
    """The directions of one regime, kind of parameter and horizon."""

    regime: str
    """What the rollouts were like."""
    parameter: str
    """The kind of parameter."""
    horizon: int
    """Steps of the rollouts."""
    checks: tuple[DirectionalCheck, ...]
    """One a direction; none where there was nothing to compare."""
    regime_fraction: float = 1.0
    """Share of the steps that were in the regime."""
    tolerance: float = 1e-6
    """Largest relative error that is right."""
    is_decisive: bool = True
    """Whether the certificate hangs on it."""
    defect: Verdict | None = None
    """Why nothing was compared, if nothing was."""

    @property
    def case(self) -> Case:
        """Return what its environments are about."""
        return Case(self.regime, self.parameter, self.is_decisive)

    @property
    def title(self) -> str:
        """Return what it is about, in words."""
        return f"{self.regime}, by {self.parameter} over {self.horizon} steps"

    @property
    def summary(self) -> Summary:
        """Return the figures of the directions."""
        return summarise(self.checks)

    @property
    def verdict(self) -> Verdict:
        """Return what the directions come to."""
        if self.defect is not None:
            return self.defect
        return verdict(self.checks, self.tolerance)

    @property
    def is_dead(self) -> bool:
        """Return whether nothing depends on the parameter, along whatever direction."""
        return bool(self.checks) and all(map(is_flat, self.checks))

    def against(self, reference: "CertificateRow") -> "CertificateRow":
        """Return the row with another row's gradients in place of the differences."""
        if not (self.checks and reference.checks):
            return replace(self, checks=(), defect=self.defect or reference.defect)
        values = [check.analytic_gradient for check in reference.checks]
        typical = math.hypot(*values) / math.sqrt(len(values))  # of squares some would overflow
        checks = (
            replace(
                check,
                numeric_gradient=value,
                relative_error=relative_difference(
                    check.analytic_gradient, value, FLOOR_RATIO * typical
                ),
                uncertainty=0.0,
                is_kink=False,
            )
            for check, value in zip(self.checks, values, strict=True)
        )
        return replace(self, checks=tuple(checks))


@dataclass(frozen=True)
class Certificate:
    """What problems came to; certificates of several add up."""

    rows: tuple[CertificateRow, ...] = ()
    """By finite differences."""
    reference: tuple[CertificateRow | None, ...] = ()
    """The same rows in a number format of more digits, if gradients are held against those; None
    for a row that is not."""
    failures: tuple[Failure, ...] = ()
    """The guards that do not hold."""

    def __add__(self, other: "Certificate") -> "Certificate":
        """Return the certificate of both."""
        pair, reference = (self, other), tuple[CertificateRow | None, ...]()
        if any(own.reference for own in pair):
            for own in pair:
                reference += own.reference or (None,) * len(own.rows)
        return Certificate(self.rows + other.rows, reference, self.failures + other.failures)

    @cached_property
    def judged(self) -> tuple[CertificateRow, ...]:
        """The rows as they are judged: against the reference where there is one."""
        if not self.reference:
            return self.rows
        pairs = zip(self.rows, self.reference, strict=True)
        return tuple(row if exact is None else row.against(exact) for row, exact in pairs)

    @property
    def pairs(self) -> list[tuple[CertificateRow, CertificateRow]]:
        """Return the rows as found, each with itself as it is judged."""
        return list(zip(self.rows, self.judged, strict=True))

    @property
    def decisive(self) -> list[CertificateRow]:
        """Return the judged rows that the certificate hangs on: all where none is decisive."""
        return [row for row in self.judged if row.is_decisive] or list(self.judged)

    @property
    def exact(self) -> list[CertificateRow]:
        """Return the reference's rows with what they must be right to by differences."""
        exact = [row for row in self.reference if row is not None]
        return [replace(row, tolerance=_REFERENCE_TOLERANCE) for row in exact]

    @property
    def is_reference_right(self) -> bool:
        """Return whether the reference is right: that both precisions agree would not do."""
        return all(row.verdict.is_good for row in self.exact if row.is_decisive)

    @property
    def checks(self) -> list[DirectionalCheck]:
        """Return the directions of all rows."""
        return [check for row in self.rows for check in row.checks]

    @property
    def summary(self) -> Summary:
        """Return the figures of all rows together."""
        return summarise(self.checks)

    @property
    def verdict(self) -> Verdict:
        """Return the worst of the decisive rows and the guards; vacuous without any row."""
        found = [row.verdict for row in self.decisive] or [Verdict.VACUOUS]
        found += [failure.verdict for failure in self.failures]
        return max(found, key=lambda verdict: verdict.badness)

    @property
    def is_certified(self) -> bool:
        """Return whether the gradient is right, of every kind, and every guard holds."""
        return self.verdict.is_good and self.is_reference_right

    @property
    def is_repeatable(self) -> bool:
        """Return whether the same inputs give the same scores and gradients."""
        return all(own.verdict != Verdict.DOES_NOT_REPEAT for own in self.failures)

    @property
    def told(self) -> str:
        """Return what is wrong by the guards, or the error that was raised; empty for nothing."""
        return "; ".join(failure.text for failure in self.failures)

    @property
    def worst_relative_error(self) -> float | None:
        """Return the largest error of a decisive row; None without any."""
        errors = [row.summary.worst_relative_error for row in self.decisive]
        return worst_of(errors) if errors else None

    def table(self) -> Table[CertificateRow]:
        """Return the rows for people, and for files."""

        def figure(heading: str, name: str) -> Column[CertificateRow]:
            return Column(heading, lambda row: getattr(row.summary, name), key=name)

        return Table(
            "analytic against numeric directional derivatives",
            (
                Column("regime", lambda row: row.regime, key="regime"),
                Column("by", lambda row: row.parameter, key="parameter"),
                Column("steps", lambda row: row.horizon, key="horizon"),
                figure("directions", "num_directions"),
                figure("kinks", "num_kinks"),
                figure("median error", "median_relative_error"),
                figure("worst error", "worst_relative_error"),
                outcome_column("verdict", lambda row: row.verdict, key="verdict"),
            ),
            self.judged,
        )


def certify(problem: Problem, *, reference: Certificate | None = None) -> Certificate:
    """Compare the gradient of a problem with finite differences, and see that its guards hold.

    Args:
        problem: Its inputs are perturbed and restored.
        reference: Of the same problem in a number format of more digits. Where there is one, the
            gradient is held against its gradient, since it knows that better than the differences.

    Returns:
        The certificate; a row for each pair of regime and kind of parameter.
    """
    first = problem.differentiate()
    certificate = Certificate(tuple(_rows(problem, first)))
    evidence = Evidence(problem, first)
    # Without a gradient there is nothing to be guarded.
    found = [(guard.__name__, guard(evidence)) for guard in problem.guards if first.arrived]
    for row_guard in ROW_GUARDS:
        found += [(row_guard.__name__, row_guard(problem, row)) for row in certificate.decisive]
    return replace(
        certificate,
        reference=() if reference is None else reference.rows,
        failures=tuple(replace(own, guard=name) for name, own in found if own is not None),
    )


def attempt(problem: Problem) -> Certificate:
    """Certify a problem; an error that it raises is an answer, too."""
    try:
        return certify(problem)
    except (DiffcarError, RuntimeError) as error:
        refusal = Failure(Verdict.REFUSED, str(error).partition("\n")[0], "attempt")
        return Certificate(tuple(_rows_without(problem, Verdict.REFUSED)), failures=(refusal,))


def _rows(problem: Problem, first: Pass) -> Iterator[CertificateRow]:
    """Take the differences, and sort them by case."""
    if not first.arrived:
        yield from _rows_without(problem, Verdict.NO_GRADIENT)
        return
    directions = problem.directions
    checks = check_environments(
        problem.score,
        problem.leaves,
        directions(first.gradients) if callable(directions) else directions,
        step_sizes=problem.step_sizes,
        gradients=first.gradients,
        values=first.scores,
    )
    shares = torch.ones(len(checks)) if problem.shares is None else problem.shares()
    for row in _rows_without(problem, None):
        own = [place for place, case in enumerate(problem.cases) if case == row.case]
        yield replace(
            row,
            checks=tuple(
                replace(checks[place], is_kink=checks[place].is_kink and not problem.is_rough)
                for place in own
            ),
            regime_fraction=float(shares[own].mean()),
            defect=None if row.parameter in first.arrived else Verdict.NO_GRADIENT,
        )


def _rows_without(problem: Problem, defect: Verdict | None) -> Iterator[CertificateRow]:
    """Return a row for each case that is still without directions."""
    for case in dict.fromkeys(problem.cases):
        yield CertificateRow(
            case.regime,
            case.parameter,
            problem.horizon,
            (),
            tolerance=problem.tolerance,
            is_decisive=case.is_decisive,
            defect=defect,
        )
