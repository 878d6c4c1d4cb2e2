"""The shift: what is identity, what ridge explains, and that ridge does not interpolate."""

import pytest
import torch

from polyrefuse_evaluation.residual_space.ridge import fit_ridge, make_folds
from polyrefuse_evaluation.residual_space.shift import fit_shift, r_squared

pytestmark = pytest.mark.usefixtures("one_thread")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def activations(n=160, d=320, seed=0):
    """Rows as models have them: variances that fall, as 1 / (1 + i) to the power of 1.5."""
    return normal(n, d, seed=seed) * (1 + torch.arange(d)).double() ** -0.75


def planted_map(d=320, seed=5):
    """A map of rank 3 that reads three leading input directions and writes anywhere."""
    reads = torch.eye(d, dtype=torch.float64)[:, :3]
    writes = torch.linalg.qr(normal(d, 3, seed=seed)).Q
    return reads @ torch.diag(torch.tensor([1.0, 0.8, 0.6]).double()) @ writes.T


def test_identity_is_the_plain_difference():
    base, tuned = normal(20, 8), normal(20, 8, seed=1)
    shift = fit_shift("identity", base.float(), tuned.float())
    torch.testing.assert_close(shift.rows, (tuned.float().double() - base.float().double()))
    torch.testing.assert_close(shift.mean, shift.rows.mean(dim=0))
    assert shift.held_out_r2 is None
    torch.testing.assert_close(shift.of(base[:3], tuned[:3]), tuned[:3] - base[:3])


def test_ridge_does_not_interpolate_noise_and_least_squares_does():
    base, noise = normal(120, 400), normal(120, 400, seed=1)
    shift = fit_shift("ridge", base, base + noise)
    assert shift.r2 <= 0.15
    assert shift.held_out_r2 <= 0.05
    design = torch.cat([base, torch.ones(120, 1, dtype=torch.float64)], dim=1)
    least_squares = design @ torch.linalg.lstsq(design, noise, driver="gelsd").solution
    assert r_squared(least_squares, noise) > 0.999


@pytest.mark.parametrize("seed", [0, 1])
def test_ridge_finds_most_of_what_a_planted_map_of_rank_three_explains(seed):
    base, fresh = activations(seed=seed), activations(400, seed=seed + 10)
    plan = planted_map()
    noise = 0.02 * normal(560, 320, seed=seed + 20)
    shift = fit_shift("ridge", base, base + base @ plan + noise[:160], seed=seed)
    truth = fresh @ plan + noise[160:]
    oracle = r_squared(fresh @ plan, truth)
    assert oracle > 0.5
    assert r_squared(shift.of(fresh, fresh), truth) >= 0.8 * oracle
    assert shift.held_out_r2 >= 0.8 * oracle


def test_the_dual_solution_is_the_primal_one():
    x, y = normal(30, 7), normal(30, 4, seed=1)
    ridge = fit_ridge(x, y)
    centred = x - x.mean(dim=0)
    scale = float((centred @ centred.T).trace()) / 30
    primal = torch.linalg.solve(
        centred.T @ centred + ridge.penalty * scale * torch.eye(7, dtype=torch.float64),
        centred.T @ (y - y.mean(dim=0)),
    )
    torch.testing.assert_close(ridge.weight, primal)
    fresh = normal(5, 7, seed=2)
    expected = (fresh - x.mean(dim=0)) @ primal + y.mean(dim=0)
    torch.testing.assert_close(ridge(fresh), expected)


def test_cross_validated_r2_is_that_of_predicting_each_fold_from_the_rest():
    x, y = activations(60, 90), normal(60, 5, seed=3) + activations(60, 90)[:, :5]
    ridge = fit_ridge(x, y, seed=4)
    scale = float(((x - x.mean(dim=0)) ** 2).sum()) / 60
    error = variance = 0.0
    for held in make_folds(60, None, 4):
        mean, target_mean = x[~held].mean(dim=0), y[~held].mean(dim=0)
        centred = x[~held] - mean
        penalised = centred.T @ centred + ridge.penalty * scale * torch.eye(90, dtype=torch.float64)
        weight = torch.linalg.solve(penalised, centred.T @ (y[~held] - target_mean))
        predicted = (x[held] - mean) @ weight + target_mean
        error += float((y[held] - predicted).square().sum())
        variance += float((y[held] - target_mean).square().sum())
    assert ridge.held_out_r2 == pytest.approx(1 - error / variance, abs=1e-9)


def test_translations_of_one_prompt_stay_in_one_fold():
    groups = [f"prompt-{row // 4}" for row in range(80)]
    folds = make_folds(80, groups, 0)
    assert sum(fold.int() for fold in folds).tolist() == [1] * 80
    for fold in folds:
        held = {group for group, out in zip(groups, fold.tolist(), strict=True) if out}
        kept = {group for group, out in zip(groups, fold.tolist(), strict=True) if not out}
        assert not held & kept


def test_held_out_r2_is_inflated_where_copies_leak_between_folds():
    """The fault that groups prevent: noise repeated in four languages looks predictable."""
    x, y = normal(40, 200).repeat(4, 1), normal(40, 200, seed=1).repeat(4, 1)
    groups = [str(row % 40) for row in range(160)]
    assert fit_ridge(x, y).held_out_r2 > 0.5
    assert fit_ridge(x, y, groups).held_out_r2 < 0.05


@pytest.mark.parametrize(
    ("base", "tuned"),
    [
        (normal(4, 3), normal(4, 2)),
        (normal(1, 3), normal(1, 3)),
        (normal(4, 3), torch.full((4, 3), torch.nan)),
    ],
)
def test_activations_that_cannot_be_compared_are_an_error(base, tuned):
    with pytest.raises(ValueError, match="activations"):
        fit_shift("identity", base, tuned)
    with pytest.raises(ValueError, match="activations"):
        fit_shift("ridge", base, tuned)


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="matrix"):
        fit_shift("matrix", normal(4, 3), normal(4, 3))
