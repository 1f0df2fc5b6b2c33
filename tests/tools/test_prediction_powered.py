"""Intervals from few trusted labels and many predictions cover what they should."""

import numpy as np
import pytest

from labelwright.tools.audit import accuracy_interval
from labelwright.tools.prediction_powered import class_shares, powered_share


def width(interval):
    return interval.high - interval.low


@pytest.mark.parametrize("skill", [0.0, 0.6, 0.95])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.93])
def test_they_cover_and_good_predictions_make_them_narrower(skill, share):
    rng = np.random.default_rng(int(100 * share + 10 * skill))
    truth = rng.random(4000) < share
    predicted = np.where(rng.random(4000) < skill, truth, rng.random(4000) < share) * 0.8 + 0.1
    covered, powered, plain = 0, [], []
    for _ in range(300):
        audited = rng.choice(4000, 150, replace=False)
        found = powered_share(truth[audited], audited, predicted)
        covered += found.low <= truth.mean() <= found.high
        powered.append(width(found))
        plain.append(width(accuracy_interval(int(truth[audited].sum()), 150)))
    assert covered / 300 >= 0.92
    if skill == 0.95:
        assert np.mean(powered) < 0.6 * np.mean(plain)
    else:
        assert np.mean(powered) < 1.03 * np.mean(plain)


def test_predictions_that_were_never_off_are_not_taken_to_be_always_right():
    rng = np.random.default_rng(4)
    truth = rng.random(142) < 0.3
    audited = rng.choice(142, 34, replace=False)
    found = powered_share(truth[audited], audited, np.where(truth, 0.999, 0.001))
    assert found.high - found.low > 0.06
    assert found.low < truth.mean() < found.high


def test_texts_to_come_are_less_certain_than_the_pool():
    rng = np.random.default_rng(3)
    truth = rng.random(400) < 0.7
    predicted = np.where(truth, 0.8, 0.4)
    audited = rng.choice(400, 200, replace=False)
    here = powered_share(truth[audited], audited, predicted)
    ahead = powered_share(truth[audited], audited, predicted, to_come=True)
    assert here.estimate == ahead.estimate
    assert width(here) < width(ahead)


def test_few_audits_or_rare_outcomes_leave_the_exact_interval():
    predicted = np.linspace(0, 1, 100)
    few = np.array([True, False] * 10)
    assert powered_share(few, np.arange(20), predicted) == accuracy_interval(10, 20)
    rare = np.array([True] * 57 + [False] * 3)
    assert powered_share(rare, np.arange(60), predicted) == accuracy_interval(57, 60)
    assert powered_share(few[:0], np.arange(0), predicted).estimate is None


def test_shares_of_the_classes():
    rng = np.random.default_rng(5)
    truth = rng.choice(3, 3000, p=[0.6, 0.3, 0.1])
    proba = np.full((3000, 3), 0.05)
    proba[np.arange(3000), truth] = 0.9
    audited = rng.choice(3000, 200, replace=False)
    shares = class_shares(truth[audited], audited, proba)
    for k, interval in enumerate(shares):
        assert interval.low <= (truth == k).mean() <= interval.high
        assert interval.n == 200
    assert sum(share.estimate for share in shares) == pytest.approx(1, abs=0.02)


def test_shapes_must_fit():
    with pytest.raises(ValueError, match="not of one length"):
        powered_share(np.array([True]), np.array([0, 1]), np.zeros(5))
