"""The geometry of clouds of vectors, held against loops by hand, identities and clouds of which the answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bertlens.read.geometry import QUANTILES, anisotropy, cka, directions, outliers, pairs_of, trail
from bertlens.read.neighbours import similarity


def every_pair(tokens: int) -> np.ndarray:
    return ~np.eye(tokens, dtype=bool)


def cloud(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(sum(x * y for x, y in zip(a, b, strict=True)) / sum(a**2) ** 0.5 / sum(b**2) ** 0.5)


def some_pairs(tokens: int) -> np.ndarray:
    chosen = np.triu(cloud(tokens, tokens, seed=3) > 0, 1)
    return chosen | chosen.T


def test_the_mean_cosine_is_that_of_a_loop_over_the_pairs() -> None:
    values, pairs = cloud(2, 7, 5) + 0.5, some_pairs(7)
    assert 0 < pairs.sum() < 42
    found = anisotropy(values, pairs, texts=3)
    for at, state in enumerate(values):
        middle = state.mean(0)
        chosen = [(a, b) for a, b in itertools.combinations(range(7), 2) if pairs[a, b]]
        cosines = [cosine(state[a], state[b]) for a, b in chosen]
        centred = [cosine(state[a] - middle, state[b] - middle) for a, b in chosen]
        np.testing.assert_allclose(found.mean[at], np.mean(cosines))
        np.testing.assert_allclose(found.quantiles[at], np.quantile(cosines, QUANTILES))
        np.testing.assert_allclose(found.centred[at], np.mean(centred))
        np.testing.assert_allclose(found.common[at], (middle**2).sum() / np.mean([(row**2).sum() for row in state]))
    assert (found.tokens, found.pairs, found.hidden, found.texts) == (7, len(chosen), 5, 3)


def test_isotropic_directions_have_the_stated_mean_and_deviation() -> None:
    found = anisotropy(cloud(1, 400, 64), every_pair(400))
    assert found.isotropic == 1 / 8
    assert abs(found.mean[0]) < 4 * found.isotropic / np.sqrt(found.pairs)  # cosines of different pairs are uncorrelated
    low, high = found.quantiles[0][[0, -1]]
    np.testing.assert_allclose([low, high], np.array([-1.645, 1.645]) * found.isotropic, rtol=0.03)
    assert found.common[0] < 0.01


@pytest.mark.parametrize("size", [0.5, 1.0, 3.0])
def test_a_shifted_cloud_has_the_mean_cosine_that_its_shift_predicts_and_none_after_centring(size: float) -> None:
    shift = size * np.ones(256)
    found = anisotropy(cloud(1, 300, 256)[:] + shift, every_pair(300))
    expected = size**2 / (size**2 + 1)  # |shift|² over |shift|² + the variance of all units
    np.testing.assert_allclose(found.mean[0], expected, atol=0.01)
    np.testing.assert_allclose(found.common[0], expected, atol=0.01)
    np.testing.assert_allclose(found.centred[0], -1 / 299, atol=1e-3)  # what sums to zero repels itself by 1/(n-1)


def test_contributions_sum_to_the_mean_cosine_exactly() -> None:
    values, pairs = (cloud(4, 20, 9) + 2) * np.array([1, 1, 30, 1, 1, 1, 1, 1, 0.1]), some_pairs(20)
    found = outliers(values, pairs)
    np.testing.assert_allclose(found.contributions.sum(1), anisotropy(values, pairs).mean, rtol=1e-12)
    np.testing.assert_allclose(found.shares(0).sum(), 1)
    unit = 3
    chosen = [(a, b) for a, b in itertools.combinations(range(20), 2) if pairs[a, b]]
    units = values[0] / np.linalg.norm(values[0], axis=1, keepdims=True)
    np.testing.assert_allclose(found.contributions[0, unit], np.mean([units[a, unit] * units[b, unit] for a, b in chosen]))
    np.testing.assert_allclose(found.magnitude, np.abs(values).mean(1))
    np.testing.assert_allclose(found.z[0], (found.magnitude[0] - found.magnitude[0].mean()) / found.magnitude[0].std())


def test_planted_units_are_found_and_an_even_cloud_has_none() -> None:
    values = cloud(1, 100, 64)
    planted = values.copy()
    planted[0, :, 17] += 20
    planted[0, :, 5] += 12
    found = outliers(planted, every_pair(100))
    assert found.top(0, 2) == (17, 5)
    assert found.making(0)[0] == (17,) and found.making(0)[1] > 0.5
    assert found.making(0, 0.95)[0] == (17, 5)
    assert found.z[0].argmax() == 17 and found.z[0, 17] > 5
    even = outliers(values + 1.0, every_pair(100))
    assert len(even.making(0)[0]) > 16  # half of the mean cosine needs a quarter of the units at least


def test_shares_of_a_mean_cosine_that_is_not_above_zero_are_not_numbers() -> None:
    opposite = np.array([[[1.0, 0.0], [-1.0, 0.0]]])
    found = outliers(opposite, every_pair(2))
    assert found.contributions[0].tolist() == [-1.0, 0.0]
    assert np.isnan(found.shares(0)).all() and found.making(0)[0] == ()


def test_one_token_has_no_pair_and_says_so() -> None:
    found = anisotropy(cloud(3, 1, 8), every_pair(1))
    assert np.isnan(found.mean).all() and found.pairs == 0
    assert np.isnan(outliers(cloud(3, 1, 8), every_pair(1)).contributions).all()
    nothing = anisotropy(np.zeros((3, 0, 8)), every_pair(0))
    assert np.isnan(nothing.mean).all() and nothing.tokens == 0
    assert np.isnan(outliers(np.zeros((3, 0, 8)), every_pair(0)).magnitude).all()
    assert np.isnan(cka(np.zeros((3, 0, 8)))).all()


def test_vectors_of_zeros_have_no_direction() -> None:
    assert directions(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [[0, 0], [0.6, 0.8]]
    assert not directions(np.zeros((2, 2))).any()


def hsic(k: np.ndarray, other: np.ndarray) -> float:
    """HSIC_1 of Song et al. 2012, equation 5, written out."""
    n = len(k)
    k, other = k - np.diag(np.diag(k)), other - np.diag(np.diag(other))
    ones = np.ones(n)
    trace = np.trace(k @ other)
    means = (ones @ k @ ones) * (ones @ other @ ones) / ((n - 1) * (n - 2))
    return float((trace + means - 2 / (n - 2) * (ones @ k @ other @ ones)) / (n * (n - 3)))


def test_debiased_cka_is_song_s_formula_and_the_plain_one_kornblith_s() -> None:
    x, y = cloud(12, 6), cloud(12, 6, seed=1) + 2
    values = np.stack([x, y])
    k, other = x @ x.T, y @ y.T
    expected = hsic(k, other) / np.sqrt(hsic(k, k) * hsic(other, other))
    np.testing.assert_allclose(cka(values, debiased=True)[0, 1], expected)
    a, b = x - x.mean(0), y - y.mean(0)
    expected = np.linalg.norm(b.T @ a) ** 2 / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b)
    np.testing.assert_allclose(cka(values)[0, 1], expected)


@pytest.mark.parametrize("debiased", [False, True])
def test_cka_of_a_state_with_itself_is_one_turned_scaled_or_shifted(debiased: bool) -> None:
    x = cloud(30, 10)
    turn, _ = np.linalg.qr(cloud(10, 10, seed=2))
    found = cka(np.stack([x, x @ turn, 1000 * x, x + 50]), debiased=debiased)
    np.testing.assert_allclose(found, 1, atol=1e-9)
    stretched = cka(np.stack([x, x * np.arange(10)]), debiased=debiased)
    assert stretched[0, 1] < 0.95  # not every linear map leaves it alone


def test_debiased_cka_of_independent_clouds_is_about_zero_and_the_plain_one_is_not() -> None:
    pairs = [np.stack([cloud(40, 200, seed=at), cloud(40, 200, seed=at + 100)]) for at in range(20)]
    plain = np.mean([cka(pair)[0, 1] for pair in pairs])
    debiased = [cka(pair, debiased=True)[0, 1] for pair in pairs]
    assert plain > 0.7
    assert abs(np.mean(debiased)) < 3 * np.std(debiased) / np.sqrt(20) + 1e-3 < 0.1


def test_cka_of_states_that_do_not_vary_or_too_few_vectors_is_no_number() -> None:
    x = cloud(10, 4)
    found = cka(np.stack([x, np.tile(x[:1], (10, 1))]))
    assert found[0, 0] == pytest.approx(1) and np.isnan(found[0, 1]) and np.isnan(found[1, 1])
    assert np.isnan(cka(cloud(2, 3, 4), debiased=True)).all()
    assert np.isfinite(cka(cloud(2, 3, 4))).all()
    assert np.isnan(cka(cloud(2, 1, 4))).all()


def test_the_path_is_the_projection_on_the_directions_of_most_variance() -> None:
    vectors = cloud(5, 6, 12) * np.array([9, 4, *[0.1] * 10])
    found = trail(vectors)
    flat = vectors.reshape(-1, 12) - vectors.reshape(-1, 12).mean(0)
    _, lengths, axes = np.linalg.svd(flat, full_matrices=False)
    np.testing.assert_allclose(found.explained, (lengths**2 / (lengths**2).sum())[:2])
    axes = axes[:2] * np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(1)])[:, None]  # the largest weight is positive
    np.testing.assert_allclose(found.coordinates.reshape(-1, 2), flat @ axes.T, atol=1e-9)
    assert found.explained.sum() > 0.99
    np.testing.assert_array_equal(trail(vectors).coordinates, found.coordinates)


def test_paths_that_have_no_plane() -> None:
    still = trail(np.ones((4, 3, 6)) * 0.1)
    assert not still.coordinates.any() and not still.explained.any()
    one = trail(cloud(4, 1, 6))
    assert one.coordinates.shape == (4, 1, 2) and 0.5 < one.explained.sum() <= 1 + 1e-9
    line = trail(np.arange(4.0)[:, None, None] * np.ones((4, 1, 6)))
    np.testing.assert_allclose(line.explained, [1, 0], atol=1e-12)
    assert np.allclose(np.diff(line.coordinates[:, 0, 0]), np.diff(line.coordinates[:2, 0, 0]))
    narrow = trail(cloud(4, 2, 1))
    assert narrow.coordinates.shape == (4, 2, 2) and narrow.explained[1] == 0
    missing = cloud(4, 3, 6)
    missing[:, 1] = np.nan
    found = trail(missing)
    assert np.isnan(found.coordinates[:, 1]).all() and np.isfinite(found.coordinates[:, [0, 2]]).all()
    assert np.isnan(trail(np.full((4, 2, 6), np.nan)).coordinates).all()


def test_similarity_is_the_cosine_of_every_two_texts_and_its_summary_leaves_out_a_text_with_itself() -> None:
    vectors = cloud(2, 4, 6)
    found = similarity(vectors)
    for state, a, b in itertools.product(range(2), range(4), range(4)):
        np.testing.assert_allclose(found[state, a, b], cosine(vectors[state, a], vectors[state, b]))
    over = [[found[state, a, b] for a, b in itertools.combinations(range(4), 2)] for state in range(2)]
    told = pairs_of(found)
    np.testing.assert_allclose(told["mean"], np.mean(over, 1))
    np.testing.assert_allclose(told["smallest"], np.min(over, 1))
    np.testing.assert_allclose(told["largest"], np.max(over, 1))
    assert np.isnan(pairs_of(similarity(vectors[:, :1]))["mean"]).all()


def test_a_text_without_a_vector_spoils_no_other_pair() -> None:
    vectors = cloud(2, 3, 6)
    vectors[:, 1] = np.nan
    told = pairs_of(similarity(vectors))
    np.testing.assert_allclose(told["mean"], [cosine(state[0], state[2]) for state in vectors])
