import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from labelwright.tools.hindsight import checks_of, class_weights, sensitivity, simulate
from labelwright.tools.money import to_nano
from labelwright.tools.outlook import explain, next_dollars
from labelwright.tools.plateau import Check, StoppingConfig, check, value_of_accuracy
from labelwright.tools.rho import TRUST, Rho

USD = 1_000_000_000


def changing(rounds: int, n: int, changed: int) -> list[np.ndarray]:
    """Predictions where each round `changed` further items flip from 0 to 1."""
    return [(np.arange(n) < r * changed).astype(int) for r in range(rounds)]


def spending(rounds: int, usd_a_round: float) -> list[int]:
    return [r * to_nano(usd_a_round) for r in range(rounds)]


@st.composite
def runs(draw):
    """A recorded run: predictions and money of some rounds."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    rounds = draw(st.integers(1, 14))
    fall = draw(st.floats(0.3, 1.0))
    history = [rng.integers(0, 3, 80)]
    for r in range(1, rounds):
        flip = rng.random(80) < 0.5 * fall**r
        history.append(np.where(flip, rng.integers(0, 3, 80), history[-1]))
    steps = draw(st.lists(st.integers(0, USD), min_size=rounds, max_size=rounds))
    return history, np.cumsum(steps).tolist()


configs = st.builds(
    StoppingConfig,
    window=st.integers(1, 4),
    patience=st.integers(1, 3),
    max_rounds=st.integers(3, 20),
    prior_rho=st.floats(0.01, 1),
)


class TestConfig:
    def test_the_value_of_accuracy(self):
        point = value_of_accuracy(StoppingConfig(point_value_usd=2.5), 10_000, 0.1)
        assert point.nano == 250 * USD
        assert "$2.50" in point.explanation
        errors = value_of_accuracy(StoppingConfig(items=40_000, error_cost_usd=0.25), 10, 0.1)
        assert errors.nano == 10_000 * USD
        assert "40,000 items x $0.25" in errors.explanation
        default = value_of_accuracy(StoppingConfig(), 20_000, 0.1)
        assert default.nano == 2000 * USD
        assert default.explanation.startswith("assumed: 20,000 items x $0.10")

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"items": 5}, "go together"),
            ({"error_cost_usd": 0.1}, "go together"),
            ({"items": 5, "error_cost_usd": 1, "point_value_usd": 1}, "either"),
            ({"items": 5, "error_cost_usd": float("inf")}, "finite"),
            ({"point_value_usd": float("inf")}, "finite"),
            ({"window": 0}, "window"),
            ({"kappa": 0.99}, "kappa"),
        ],
    )
    def test_a_config_that_can_not_be_meant_is_refused(self, fields, message):
        with pytest.raises(ValidationError, match=message):
            StoppingConfig(**fields)


class TestCheck:
    config = StoppingConfig(window=2, patience=2, max_rounds=50, prior_rho=0.15)

    @pytest.mark.parametrize("items", [0, 1])
    def test_without_a_stop_set_nothing_is_said_and_the_run_goes_on(self, items):
        history = [np.zeros(items, int)] * 9
        got = check(history, spending(9, 0.5), USD, self.config, 5)
        assert (got.churn, got.verdict, got.streak) == (None, "continue", 0)
        assert "too small for a stop set" in explain(got)
        assert "too small for a stop set" in next_dollars(got, 1.0).text
        assert check(history, spending(9, 0.5), USD, StoppingConfig(max_rounds=9)).verdict == "stop"

    def test_by_hand(self):
        # 40 of 1,000 changed over two rounds of 100 labels each; the third one costs $0.50.
        history, money = changing(4, 1000, 20), spending(4, 0.5)
        labels = [100, 200, 300, 400]
        got = check(history, money, 100 * USD, self.config, labels=labels)
        assert got.churn == pytest.approx(0.04)
        assert (got.money_window, got.money_next) == (USD, USD // 2)
        assert got.expected_gain == pytest.approx(100 * 0.15 * 40.5 / 1001 * USD)
        share = (400**-0.5 - 500**-0.5) / (200**-0.5 - 400**-0.5)
        assert got.effort == (200, 400, 500)
        assert got.next_share == pytest.approx(share)
        assert got.next_gain == pytest.approx(got.expected_gain * share, rel=1e-6)
        assert got.certificate_gain == pytest.approx(5.4 * USD, rel=0.1)
        assert (got.rule, got.certificate, got.streak, got.verdict) == (True, False, 1, "continue")
        again = {"labels": labels}
        assert check(history, money, 100 * USD, self.config, 1, **again).verdict == "propose_stop"
        assert check(history, money, 900 * USD, self.config, 1, **again).streak == 0
        assert check(history, money, 10 * USD, self.config, **again).verdict == "stop"

    def test_the_price_of_the_next_batch_decides_not_that_of_the_last(self):
        history, money = changing(4, 1000, 20), spending(4, 0.5)
        labels = {"labels": [100, 200, 300, 400]}
        at = 100 * USD, self.config
        assert check(history, money, *at, **labels, next_cost=USD // 10).rule is False
        assert check(history, money, *at, **labels, next_cost=USD).rule is True
        # A batch that costs nothing is not refused for what the last ones cost.
        free = check(history, money, USD, self.config, **labels, next_cost=0)
        assert (free.certificate, free.rule) == (False, False)

    def test_one_round_has_no_churn_and_two_have_a_short_window(self):
        got = check(changing(1, 50, 0), spending(1, 99), USD, self.config, 5)
        assert (got.verdict, got.churn, got.streak) == ("continue", None, 0)
        assert "needs two rounds" in explain(got)
        assert next_dollars(got, 1).expected_points is None
        assert check(changing(2, 50, 0), spending(2, 99), USD, self.config).window == 1

    def test_the_window_grows_where_little_changes_to_half_of_the_rounds(self):
        little = changing(20, 1000, 4)
        assert check(little, spending(20, 1), USD, self.config).window == 10
        some = changing(20, 1000, 10)
        assert check(some, spending(20, 1), USD, self.config).window == 5
        much = changing(20, 1000, 30)
        assert check(much, spending(20, 1), USD, self.config).window == 2

    def test_the_cap_wins(self):
        config = StoppingConfig(max_rounds=2)
        got = check(changing(2, 50, 20), spending(2, 0), USD, config)
        assert got.verdict == "stop"
        assert "cap of 2" in got.why

    def test_an_audit_takes_the_place_of_the_prior(self):
        history, money = changing(4, 1000, 10), spending(4, 0.5)
        good, bad = Rho(0.9, 0.8, 1.0, "audit"), Rho(-0.1, -0.2, 0.0, "audit")
        assert check(history, money, 200 * USD, self.config, rho=good).rule is False
        assert check(history, money, 100_000 * USD, self.config, rho=bad).rule is True
        assert "by an audit" in explain(check(history, money, USD, self.config, rho=good))

    def test_the_students_confidence_is_rho_unless_one_is_configured(self):
        history, money = changing(4, 1000, 10), spending(4, 0.5)
        proba = np.tile([0.2, 0.8], (1000, 1))
        sure = check(history, money, 100 * USD, StoppingConfig(window=2), proba=proba)
        assert sure.rho == pytest.approx(TRUST * 0.6)
        assert sure.rho_from == "confidence"
        fixed = check(history, money, 100 * USD, self.config, proba=proba)
        assert (fixed.rho, fixed.rho_from) == (0.15, "prior")

    def test_few_changes_are_weighed_with_what_is_left_to_learn(self):
        # 5 of 1,000 changed while labels doubled: they count half, the expected error the rest.
        history, money, labels = changing(2, 1000, 5), spending(2, 0.5), [100, 200]
        proba = np.tile([0.9, 0.1], (1000, 1))
        proba[:5] = [0.1, 0.9]
        run = history, money, 100 * USD
        got = check(*run, StoppingConfig(), proba=proba, labels=labels)
        assert (got.weight, got.error) == (0.5, pytest.approx(0.1))
        # Half of 10 % would have brought 2.1 points, but no more than 1.2 % changed for sure.
        assert 0.5 * 0.1 * (2**0.5 - 1) > got.churn_high == got.learnable
        gain = 0.5 * got.rho * got.churn_likely + 0.5 * got.learnable
        assert got.expected_gain == pytest.approx(100 * USD * gain)
        assert (
            "half of the student's expected error e = 10.00% is taken to be learnable: the lesser "
            "of upper d and e / 2 x ((200 / 100)^0.50 - 1), 0.0116, x A = $1.16. "
            "Together: 0.50 x $0.35 + 0.50 x $1.16 = $0.76."
        ) in explain(got)
        one = next_dollars(got, 0.5)
        assert one.expected_points == pytest.approx(got.next_gain / USD, rel=1e-6)
        many = check(changing(2, 1000, 500), *run[1:], StoppingConfig(), proba=proba, labels=labels)
        assert many.weight > 0.99
        # Who configures rho does not go by the student's probabilities.
        fixed = check(*run, self.config, proba=proba, labels=labels)
        assert fixed.weight == 1
        assert "expected error" not in explain(fixed)

    def test_a_sure_student_that_changes_nothing_is_done(self):
        history, money, labels = changing(4, 1000, 0), spending(4, 0.5), [100, 200, 300, 400]
        run = history, money, 5000 * USD, StoppingConfig()
        sure, unsure = np.tile([0.999, 0.001], (1000, 1)), np.tile([0.9, 0.1], (1000, 1))
        assert check(*run, proba=sure, labels=labels).rule
        assert not check(*run, proba=unsure, labels=labels).rule

    def test_free_rounds_stop_on_churn_and_say_so(self):
        nothing_changes = changing(4, 100, 0)
        got = check(nothing_changes, [5] * 4, 10**15, self.config, 1)
        assert got.verdict == "propose_stop"
        assert "money can not decide" in got.why
        assert not got.certificate
        moving = check(changing(4, 1000, 3), [5] * 4, 0, self.config, 1)
        assert (moving.verdict, moving.streak) == ("continue", 0)
        large = changing(4, 10_000, 20)
        assert check(large, [5] * 4, 10**15, self.config, 1).verdict == "propose_stop"
        assert "nothing to pay" in explain(got)
        assert next_dollars(got, 1).expected_points is None

    def test_a_small_stop_set_proves_nothing(self):
        money = spending(4, 0.5)
        assert check(changing(4, 5000, 0), money, 100 * USD, self.config).certificate
        small = check(changing(4, 50, 0), money, 10_000 * USD, self.config)
        assert not small.certificate
        # None of 50 changed: for all that is known a few of a thousand do.
        assert not small.rule

    def test_class_weights_reopen_what_a_rare_class_still_moves(self):
        history = [np.zeros(1000, dtype=int) for _ in range(4)]
        history[-1][:10] = 1
        money = spending(4, 1)
        plain = check(history, money, 500 * USD, self.config)
        weighted = check(
            history, money, 500 * USD, self.config, class_weights=np.array([0.5, 50.0])
        )
        assert plain.rule
        assert not weighted.rule
        assert "Class-weighted churn" in explain(weighted)
        assert "macro-F1" in next_dollars(weighted, 1).text

    def test_the_target_decides_whether_churn_is_weighted(self):
        predictions = np.repeat([0, 1], [90, 10])
        assert class_weights(StoppingConfig(), predictions, 2) is None
        weights = class_weights(StoppingConfig(target="macro_f1"), predictions, 2)
        assert weights == pytest.approx([100 / 180, 5])

    def test_input_that_can_not_be_a_run_is_refused(self):
        with pytest.raises(ValueError, match="2 rounds of predictions and 1 of money"):
            check(changing(2, 50, 0), [1], USD, self.config)
        with pytest.raises(ValueError, match="and 1 of labels"):
            check(changing(2, 50, 0), [1, 2], USD, self.config, labels=[1])
        with pytest.raises(ValueError, match=r"falls by \$1\.00"):
            check(changing(3, 50, 0), [USD, 0, 0], USD, self.config)
        with pytest.raises(ValueError, match="stop set"):
            check([np.zeros(5), np.zeros(5), np.zeros(6)], [0, 1, 2], USD, self.config)

    @settings(deadline=None)
    @given(runs(), configs, st.integers(0, 1000 * USD))
    def test_a_certificate_implies_the_rule_and_bounds_accuracy(self, run, config, value):
        history, money = run
        got = check(history, money, value, config)
        if got.certificate:
            assert got.rule
        if got.churn is None:
            return
        for seed in range(3):
            truth = np.random.default_rng(seed).integers(0, 3, len(history[-1]))
            before, after = history[-1 - got.window], history[-1]
            moved = abs(float((before == truth).mean() - (after == truth).mean()))
            assert moved <= got.churn + 1e-12
            if got.certificate:
                assert value * moved < got.money_window

    @settings(deadline=None)
    @given(runs(), configs, st.integers(0, 1000 * USD))
    def test_to_dict_is_json_and_reads_back(self, run, config, value):
        got = check(*run, value, config)
        assert Check.from_dict(json.loads(json.dumps(got.to_dict()))) == got


def test_explain_prints_the_numbers():
    config = StoppingConfig(window=2, patience=2, prior_rho=0.15)
    got = check(
        changing(4, 1000, 20), spending(4, 0.5), 100 * USD, config, 1, labels=[100, 200, 300, 400]
    )
    assert explain(got).splitlines() == [
        "Round 4: propose stop, for the next batch costs more than its expected gain, "
        "2 of 2 checks in a row.",
        "Window: the last 2 rounds, $1.00 spent.",
        "Churn d of the 1,000 stop-set items: 4.00% (95 % interval 2.87% to 5.41%).",
        "Value A = $100.00, $1.00 for each point of accuracy. Net improvement rho = 0.150 "
        "(-0.16 to 0.46), assumed.",
        "Expected gain of the window: A x rho x d = $100.00 x 0.150 x 0.0405 = $0.61 "
        "(d with half a change added).",
        "Next batch: gains fall with labels as n^-0.50, so (400^-0.50 - 500^-0.50) / "
        "(200^-0.50 - 400^-0.50) = 0.255 of it, $0.15, less than the $0.50 it costs.",
        "At most, for the window: A x upper d = $100.00 x 0.0541 = $5.41, no less than the $1.00 "
        "it costs.",
    ]


def test_next_dollars_follow_the_learning_curve_and_have_a_band():
    config = StoppingConfig(window=2, prior_rho=0.15)
    got = check(
        changing(4, 1000, 20), spending(4, 0.5), 100 * USD, config, labels=[100, 200, 300, 400]
    )
    one = next_dollars(got, 0.5)
    assert one.expected_points == pytest.approx(100 * got.next_gain / (100 * USD), rel=1e-6)
    five = next_dollars(got, 5)
    assert one.expected_points < five.expected_points < 10 * one.expected_points
    assert five.low_points < five.expected_points < five.high_points <= five.at_most_points
    assert five.at_most_points == pytest.approx(100 * 5 * got.churn_high)
    assert five.text.startswith("Another $5.00 buys about ")
    assert next_dollars(got, 1e6).at_most_points == 100
    losing = next_dollars(replace(got, rho=-0.2, rho_low=-0.4, rho_high=0.0), 5)
    assert losing.expected_points < 0


def no_later(first: int | None, second: int | None) -> bool:
    """Whether a run stops no later in the first case than in the second."""
    return second is None or (first is not None and first <= second)


@settings(deadline=None)
@given(runs(), configs, st.integers(0, 100 * USD), st.integers(0, 100 * USD))
def test_dearer_accuracy_never_stops_earlier(run, config, value, more):
    history, money = run
    assert no_later(
        simulate(history, money, value, config), simulate(history, money, value + more, config)
    )
    stops = sensitivity(checks_of(history, money, value, config), config)
    assert no_later(stops["A/3"], stops["A"])
    assert no_later(stops["A"], stops["3A"])
    assert stops["A"] == simulate(history, money, value, config)


@settings(deadline=None)
@given(runs(), configs, st.integers(3, 100 * USD))
def test_sensitivity_is_what_the_rule_says_at_other_values(run, config, value):
    history, money = run
    stops = sensitivity(checks_of(history, money, value, config), config)
    # Money is whole nanodollars: a third may round to the other side of a tie.
    assert stops["3A"] == simulate(history, money, 3 * value, config) or value < 100


@settings(deadline=None)
@given(runs(), configs, st.integers(0, 100 * USD), st.integers(1, 3))
def test_more_patience_never_stops_earlier(run, config, value, more):
    history, money = run
    patient = config.model_copy(update={"patience": config.patience + more})
    assert no_later(
        simulate(history, money, value, config), simulate(history, money, value, patient)
    )


LABELS = list(range(40, 1040, 40))


@cache
def learning_curve(seed: int, by_margin: bool):
    """A real student on a small pool: predictions on the stop set, and accuracy on test items."""
    features, labels = make_classification(
        2400, 12, n_informative=8, n_classes=4, class_sep=1.2, flip_y=0.05, random_state=seed
    )
    rng = np.random.default_rng(seed)
    stop, test, pool = features[:500], slice(500, 1200), np.arange(1200, 2400)
    chosen = rng.choice(pool, 40, replace=False)
    history, accuracy = [], []
    for _ in range(25):
        student = LogisticRegression(max_iter=200, tol=1e-3).fit(features[chosen], labels[chosen])
        history.append(student.predict(stop))
        accuracy.append(student.score(features[test], labels[test]))
        rest = np.setdiff1d(pool, chosen)
        if by_margin:
            top = np.sort(student.predict_proba(features[rest]), axis=1)
            batch = rest[np.argsort(top[:, -1] - top[:, -2], kind="stable")[:40]]
        else:
            batch = rng.choice(rest, 40, replace=False)
        chosen = np.concatenate([chosen, batch])
    return tuple(history), np.array(accuracy)


@pytest.mark.parametrize("by_margin", [False, True])
def test_on_real_learning_curves_the_stop_costs_little_more_than_the_best_one(by_margin):
    config = StoppingConfig()
    excess, to_the_end, stops = [], [], []
    for seed in range(2):
        history, accuracy = learning_curve(seed, by_margin)
        money = spending(25, 0.4)  # 40 labels of one cent
        for usd in (20, 100, 500):
            stop = simulate(history, money, usd * USD, config, labels=LABELS) or 25
            cost = (1 - accuracy) * usd + np.arange(25) * 0.4
            excess.append(cost[stop - 1] / cost.min() - 1)
            to_the_end.append(cost[-1] / cost.min() - 1)
            stops.append(stop)
    assert np.mean(excess) < 0.12
    assert np.mean(excess) < np.mean(to_the_end) / 2
    assert min(stops) < 8
    assert max(stops) > 15


def test_on_a_real_learning_curve_sensitivity_brackets_the_stop():
    history, _ = learning_curve(1, False)
    made = checks_of(history, spending(25, 0.4), 60 * USD, StoppingConfig(), labels=LABELS)
    stops = sensitivity(made, StoppingConfig())
    assert stops["A/3"] is not None
    assert stops["A"] is not None
    assert stops["A/3"] < stops["A"]
    assert stops["3A"] is None or stops["3A"] > stops["A"]
