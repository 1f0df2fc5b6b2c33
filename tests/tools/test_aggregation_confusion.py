"""Confusions of crowd-kit, applied by Bayes' rule; and CROWDLAB's weights on other items."""

import sys

import numpy as np
import pytest

from labelwright.tools.aggregation import (
    Confusions,
    confusion_posterior,
    crowd_posterior,
    crowdlab,
    fit_confusions,
)
from labelwright.tools.errors import ConfigError


def made(n=300, m=4, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    votes = np.where(rng.random((n, m)) < 0.7, truth[:, None], rng.integers(0, classes, (n, m)))
    votes[rng.random((n, m)) < 0.1] = -1
    return votes, truth


def frame(votes):
    pd = pytest.importorskip("pandas")
    item, worker = np.nonzero(votes >= 0)
    return pd.DataFrame({"task": item, "worker": worker, "label": votes[item, worker]})


@pytest.mark.filterwarnings("ignore")  # of crowd-kit, called here without our wrapping
@pytest.mark.parametrize(("method", "name"), [("dawid_skene", "DawidSkene"), ("mace", "MACE")])
def test_on_the_votes_it_has_learned_from_it_is_what_crowd_kit_says(method, name):
    crowdkit = pytest.importorskip("crowdkit.aggregation")
    votes, truth = made(n=60)
    votes[5] = -1
    seed = {"random_state": 0, "n_restarts": 1} if method == "mace" else {}
    model = getattr(crowdkit, name)(**seed)
    expected = model.fit_predict(frame(votes))
    found = confusion_posterior(votes, fit_confusions(votes, 3, method)).argmax(axis=1)
    assert (found[expected.index] == expected.to_numpy()).mean() > 0.98
    assert (found == truth).mean() > 0.8


@pytest.mark.parametrize("method", ["dawid_skene", "mace"])
def test_labels_and_annotators_without_a_vote_are_no_obstacle(method):
    pytest.importorskip("crowdkit.aggregation")
    votes, _ = made(n=30, m=3)
    votes[:, 1] = -1
    confusions = fit_confusions(votes, 5, method)
    np.testing.assert_allclose(confusions.tables.sum(axis=2), 1)
    np.testing.assert_allclose(confusions.tables[1], 0.2)
    p = confusion_posterior(np.asarray([[-1, -1, -1], [-1, 4, -1], [0, 4, 1]]), confusions)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(p[0], confusions.prior)


def test_no_votes_have_nothing_to_teach():
    confusions = fit_confusions(np.full((3, 2), -1), 4, "dawid_skene")
    assert (confusions.prior == 0.25).all()
    assert (confusions.tables == 0.25).all()


def test_the_posterior_by_hand():
    tables = np.asarray([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]])
    confusions = Confusions(np.asarray([0.75, 0.25]), tables)
    found = confusion_posterior(np.asarray([[0, 1], [1, -1]]), confusions)
    first = np.asarray([0.75 * 0.9 * 0.4, 0.25 * 0.3 * 0.8])
    second = np.asarray([0.75 * 0.1, 0.25 * 0.7])
    np.testing.assert_allclose(found, [first / first.sum(), second / second.sum()])


def test_without_crowd_kit_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "crowdkit.aggregation", None)
    with pytest.raises(ConfigError, match=r"pip install 'labelwright\[aggregation\]'"):
        fit_confusions(np.zeros((2, 2), int), 2, "mace")


def test_crowdlabs_weights_give_other_items_what_they_gave_their_own():
    votes, _ = made(seed=1)
    proba = np.random.default_rng(2).dirichlet(np.ones(3), len(votes))
    crowd = crowdlab(votes, proba)
    np.testing.assert_allclose(crowd_posterior(votes, proba, crowd), crowd.posterior)
    unvoted = crowd_posterior(np.full((1, 4), -1), proba[:1], crowd)
    np.testing.assert_allclose(unvoted, proba[:1])
