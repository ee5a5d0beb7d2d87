"""Spectrum: what one weight looks like as a cloud of numbers, next to a matrix of independent draws.

The singular values of a matrix whose entries were drawn independently fill a known curve with a sharp edge (Marchenko and
Pastur 1967); what training writes into a matrix stands beyond that edge. Nothing here decides: that is the judges' business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

BLOCK = (64, 1024)
"""Rows and columns of the sampled block whose spectrum is read first: 0.2 ms, and too small to wait for a second thread."""

ROWS = 4096
"""Larger tables are sampled down to this many rows."""

STEPS = 64
"""Lanczos steps for the largest singular value of a matrix larger than a block."""


@dataclass(frozen=True)
class Reading:
    """Statistics of the entries of one matrix; linear in its size, a millisecond per million entries.

    Attributes
    ----------
    shape : (rows, columns) that were read.
    mean, std, rms : of all entries, in units of the weight.
    kurtosis : fourth moment about zero over the square of the second: 3 for normal, 1.8 for uniform entries.
    largest : largest absolute entry.
    zeros : how many entries are exactly zero.
    step : relative spacing of the number format that holds the entries: 2^-23, 2^-10 (float16) or 2^-7 (bfloat16).
    row_norms, column_norms : dispersion of the norms as a standard score against independent draws, 0 ± 1; see `dispersion`.
    row_means, column_means : sum of squared standardised means of all rows (columns): chi-square with as many degrees of
        freedom.
    """

    shape: tuple[int, int]
    mean: float
    std: float
    rms: float
    kurtosis: float
    largest: float
    zeros: int
    step: float
    row_norms: float
    column_norms: float
    row_means: float
    column_means: float


@dataclass(frozen=True)
class Top:
    """The largest singular value of a matrix and the evenness of all, against independent entries of the same variance.

    Attributes
    ----------
    shape : (rows, columns) that were read.
    largest_singular, edge : the largest singular value, and rms · (√rows + √columns), where the Marchenko-Pastur law ends.
    tracy_widom : the squared largest singular value with the centre and scale of Johnstone (2001) and Ma (2012): follows the
        Tracy-Widom law of order 1 (mean -1.2, deviation 1.3) for independent entries.
    evenness : John's statistic n·U - p (Ledoit and Wolf 2002): about 1 ± 2 for independent normal entries, large where some
        directions carry more than others, negative where all carry the same (an orthogonal matrix: -p).
    """

    shape: tuple[int, int]
    largest_singular: float
    edge: float
    tracy_widom: float
    evenness: float

    @property
    def edge_ratio(self) -> float:
        """Largest singular value over the edge; a little under 1 for independent entries."""
        return self.largest_singular / self.edge


@dataclass(frozen=True)
class Spectrum:
    """All singular values of a matrix with the Marchenko-Pastur curve of independent entries of the same variance.

    Attributes
    ----------
    singular_values : (min(rows, columns),) the largest first.
    edges : smallest and largest singular value of the curve.
    grid, density : (points,) singular values and the density of the curve there; its integral is 1.
    """

    singular_values: np.ndarray
    edges: tuple[float, float]
    grid: np.ndarray
    density: np.ndarray


def as_matrix(weight: torch.Tensor) -> np.ndarray:
    """(rows, columns) in float32 (float64 stays): a vector becomes one row, further axes (convolutions) are joined."""
    weight = weight.detach().to("cpu")
    weight = weight if weight.dtype == torch.float64 else weight.float()
    return (weight.reshape(1, -1) if weight.ndim < 2 else weight.flatten(1)).numpy()


def sampled(matrix: np.ndarray, rows: int, columns: int | None = None) -> np.ndarray:
    """A block of at most so many rows and columns, drawn at random with a fixed seed: the same for everybody."""
    draw = np.random.default_rng(0)
    for axis, most in ((0, rows), (1, columns or matrix.shape[1])):
        if matrix.shape[axis] > most:
            matrix = matrix.take(np.sort(draw.choice(matrix.shape[axis], most, replace=False)), axis)
    return matrix


def dispersion(squares: np.ndarray, length: int, kurtosis: float) -> float:
    """How unequal sums of `length` squared entries are: a chi-square with len(squares) - 1 degrees of freedom.

    The cube root of such a sum is very nearly normal (Wilson and Hilferty 1931), with relative variance
    (kurtosis - 1) / (9 length).
    """
    roots = np.cbrt(squares.astype(np.float64))
    relative = roots / roots.mean()
    return float(((relative - relative.mean()) ** 2).sum() * 9 * length / max(kurtosis - 1, 1e-3))


def read(matrix: np.ndarray) -> Reading:
    """Everything about the entries that one pass can tell; `matrix` (rows, columns) is finite and not constant."""
    rows, columns = matrix.shape
    flat = matrix.reshape(-1)
    squared = matrix * matrix
    # sums of a row or column are exact enough in the format of the entries, and twice as fast; sums of all are not
    row_squares, column_squares = squared.sum(1), squared.sum(0)
    row_means, column_means = matrix.mean(1), matrix.mean(0)
    second = float(row_squares.mean(dtype=np.float64)) / columns
    squared /= second  # else the fourth powers of small weights underflow
    fourth = float(np.einsum("ij,ij->i", squared, squared).mean(dtype=np.float64)) / columns
    mean = float(row_means.mean(dtype=np.float64))
    return Reading(
        shape=(rows, columns),
        mean=mean,
        std=math.sqrt(max(second - mean**2, 0.0)),
        rms=math.sqrt(second),
        kurtosis=fourth,
        largest=float(max(flat.max(), -flat.min())),
        zeros=int(np.count_nonzero(matrix == 0)),
        step=_step(flat),
        row_norms=_score(dispersion(row_squares, columns, fourth), rows - 1),
        column_norms=_score(dispersion(column_squares, rows, fourth), columns - 1),
        row_means=float((row_means.astype(np.float64) ** 2).sum() * columns / second),
        column_means=float((column_means.astype(np.float64) ** 2).sum() * rows / second),
    )


def _score(chi_square: float, freedom: int) -> float:
    """Chi-square as a standard score (Wilson and Hilferty 1931); 0 where there is only one row."""
    if freedom < 1:
        return 0.0
    return float((np.cbrt(chi_square / freedom) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom)))


def _step(flat: np.ndarray) -> float:
    """Relative spacing of the coarsest format that holds the first entries exactly."""
    bits = np.ascontiguousarray(flat[:4096], np.float32).view(np.uint32)
    for dropped, step in ((16, 2.0**-7), (13, 2.0**-10)):
        if not (bits & ((1 << dropped) - 1)).any():
            return step
    return 2.0**-23


def top(matrix: np.ndarray) -> Top:
    """Largest singular value and evenness of a matrix (rows, columns), through the Gram matrix of its shorter side."""
    rows, columns = matrix.shape
    short, long = sorted(matrix.shape)
    tensor = torch.from_numpy(matrix)  # torch and numpy bring their own threads, which wait for each other when both are used
    gram = tensor @ tensor.T if rows <= columns else tensor.T @ tensor
    variance = float(gram.diagonal().sum(dtype=torch.float64)) / matrix.size
    gram /= variance
    largest = float(torch.linalg.eigvalsh(gram)[-1]) if short <= BLOCK[0] else _largest_eigenvalue(gram)
    # Ma (2012), "Accuracy of the Tracy-Widom limits for the extreme eigenvalues in white Wishart matrices", eq. 5
    a, b = math.sqrt(long - 0.5), math.sqrt(short - 0.5)
    centre, scale = (a + b) ** 2, (a + b) * (1 / a + 1 / b) ** (1 / 3)
    spread = float(gram.square_().sum(dtype=torch.float64)) / long**2 / short - 1
    return Top(
        shape=(rows, columns),
        largest_singular=math.sqrt(max(largest, 0.0) * variance),
        edge=math.sqrt(variance) * (math.sqrt(rows) + math.sqrt(columns)),
        tracy_widom=(largest - centre) / scale,
        evenness=long * spread - short,
    )


def _largest_eigenvalue(gram: torch.Tensor) -> float:
    """Largest eigenvalue of a symmetric matrix (n, n) by Lanczos, every vector kept orthogonal; never above the true one."""
    vector = torch.from_numpy(np.random.default_rng(0).standard_normal(len(gram))).to(gram.dtype)
    basis = torch.empty(STEPS, len(gram), dtype=gram.dtype)
    small = np.zeros((STEPS, STEPS))
    for step in range(STEPS):
        basis[step] = vector / torch.linalg.vector_norm(vector)
        vector = gram @ basis[step]
        small[step, step] = basis[step] @ vector
        for _ in range(2):  # once is not enough when the vectors are nearly dependent
            vector -= basis[: step + 1].T @ (basis[: step + 1] @ vector)
        left = float(torch.linalg.vector_norm(vector))
        if step + 1 == STEPS or left < 1e-4 * small[step, step]:  # nothing left to find, as in an orthogonal matrix
            break
        small[step, step + 1] = small[step + 1, step] = left
    return float(np.linalg.eigvalsh(small[: step + 1, : step + 1])[-1])


def spectrum(weight: torch.Tensor, *, points: int = 200) -> Spectrum:
    """All singular values of a weight and the curve they would follow if its entries were independent draws.

    Parameters
    ----------
    weight : (rows, columns), finite, not all zero. 1024 x 1024 takes about 0.2 s.
    points : how many points of the curve.
    """
    matrix = as_matrix(weight).astype(np.float64)
    short, long = sorted(matrix.shape)
    rms = math.sqrt(float((matrix * matrix).mean()))
    edges = rms * (math.sqrt(long) - math.sqrt(short)), rms * (math.sqrt(long) + math.sqrt(short))
    grid = np.linspace(*edges, points)
    # the law of the eigenvalues s^2 (Marchenko and Pastur 1967), as a density of the singular values s
    inside = np.clip((edges[1] ** 2 - grid**2) * (grid**2 - edges[0] ** 2), 0, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.sqrt(inside) / (math.pi * rms**2 * short * grid)
    # a square matrix: the curve starts at 0, where its limit is finite
    density[0] = 0.0 if short < long else edges[1] / (math.pi * rms**2 * short)
    return Spectrum(np.linalg.svd(matrix, compute_uv=False), edges, grid, density)
