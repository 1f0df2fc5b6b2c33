"""Reviews of people and what they come to."""

from hypothesis import given
from hypothesis import strategies as st

from labelwright.tools.reviews import (
    Review,
    agreement,
    answered,
    read_review,
    standing,
    wants_second,
)


def said(*words: tuple[str, str, str | None], item: str = "a") -> list[Review]:
    """Reviews in order: (reviewer, verdict, label)."""
    return [
        Review(seq, item, reviewer, verdict, label)  # type: ignore[arg-type]
        for seq, (reviewer, verdict, label) in enumerate(words, 1)
    ]


def test_the_last_word_of_a_reviewer_counts():
    found = standing(said(("ann", "label", "x"), ("ann", "label", "y")))["a"]
    assert (found.label, found.settled, found.said) == ("y", True, {"ann": "y"})


def test_undo_brings_the_word_before_back_and_then_nothing_is_left():
    words = said(("ann", "label", "x"), ("ann", "label", "y"), ("ann", "undo", None))
    assert standing(words)["a"].label == "x"
    assert standing([*words, Review(9, "a", "ann", "undo")]) == {}
    # One undo too many takes back nobody's word.
    assert standing([*words, Review(9, "a", "ann", "undo"), Review(10, "a", "ann", "undo")]) == {}


def test_two_undos_of_one_word_take_back_one():
    words = said(("ann", "label", "x"), ("ann", "label", "y"))
    undo = [Review(seq, "a", "ann", "undo", undoes=2) for seq in (3, 4)]
    assert standing([*words, *undo])["a"].label == "x"
    # Neither does one of another's word, or of another item's, take back anything.
    for other in (Review(5, "a", "bob", "undo", undoes=2), Review(5, "b", "ann", "undo", undoes=2)):
        assert standing([*words, other])["a"].label == "y"
    # What was said since stands.
    late = [*words, Review(3, "a", "ann", "label", "z"), Review(4, "a", "ann", "undo", undoes=2)]
    assert standing(late)["a"].label == "z"


@given(
    st.lists(
        st.one_of(st.sampled_from(["label", "no_label", "skip", "flag"]), st.integers(0, 12)),
        max_size=12,
    ),
    st.integers(1, 3),
)
def test_undos_that_name_their_word_take_each_word_back_once(words, times):
    """However often, what is left is what was never named after it was said."""
    reviews: list[Review] = []
    for word in words:
        if isinstance(word, str):
            label = "x" if word == "label" else None
            reviews.append(Review(len(reviews), "a", "ann", word, label))  # type: ignore[arg-type]
        else:
            for _ in range(times):
                reviews.append(Review(len(reviews), "a", "ann", "undo", undoes=word))
    named = {undo.undoes for undo in reviews if undo.verdict == "undo" and undo.undoes < undo.seq}
    left = [one for one in reviews if one.verdict != "undo" and one.seq not in named]
    assert standing(reviews) == standing(left)


def test_no_label_fits_is_an_answer_and_skip_is_none():
    none = standing(said(("ann", "no_label", None)))["a"]
    assert none.settled
    assert none.label is None
    skipped = standing(said(("ann", "label", "x"), ("ann", "skip", None)))["a"]
    assert not skipped.settled
    assert skipped.said == {}


def test_a_flag_says_nothing_of_the_label():
    found = standing(said(("ann", "label", "x"), ("ann", "flag", None)))["a"]
    assert found.flagged
    assert found.label == "x"
    assert not standing(said(("ann", "flag", None)))["a"].settled


def test_two_who_differ_dispute_and_a_third_settles():
    two = said(("ann", "label", "x"), ("bob", "label", "y"))
    assert standing(two)["a"].disputed
    three = standing([*two, Review(3, "a", "cid", "label", "y")])["a"]
    assert (three.label, three.disputed) == ("y", False)


def test_an_example_needs_somebody_who_agrees_with_the_label():
    words = [
        Review(1, "a", "ann", "label", "x", example=True),
        Review(2, "a", "bob", "label", "y"),
        Review(3, "a", "cid", "label", "y"),
    ]
    assert not standing(words)["a"].example
    assert standing(words[:1])["a"].example


def test_agreement_counts_items_that_both_answered():
    words = [
        Review(1, "a", "ann", "label", "x"),
        Review(2, "a", "bob", "label", "x"),
        Review(3, "b", "ann", "label", "x"),
        Review(4, "b", "bob", "no_label"),
        Review(5, "c", "ann", "label", "x"),
    ]
    assert agreement(words) == [("ann", "bob", 2, 1)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from(["ann", "bob"]),
            st.sampled_from(["label", "no_label", "skip", "flag", "undo"]),
            st.sampled_from(["x", "y"]),
        ),
        max_size=12,
    )
)
def test_the_order_in_which_reviews_are_handed_over_does_not_count(words):
    reviews = [
        Review(seq, item, who, verdict, label if verdict == "label" else None)
        for seq, (item, who, verdict, label) in enumerate(words)
    ]
    assert standing(reviews) == standing(reversed(reviews))
    assert all(Review.of(one.seq, one.payload()) == one for one in reviews)


def test_a_review_is_read_back_as_it_was_written_and_nothing_else_is():
    review = Review(3, "a", "ann", "label", "x", example=True, blind=True)
    assert read_review(3, {**review.payload(), "more": 1}, ["x", "y"]) == review
    none = Review(4, "a", "ann", "no_label", None)
    # A label beside another verdict is no label.
    assert read_review(4, {**none.payload(), "label": "x"}, ["x"]) == none
    for field, value in (
        ("item_id", None),
        ("reviewer", " "),
        ("verdict", ["label"]),
        ("label", "z"),
        ("label", ["x"]),
    ):
        assert isinstance(read_review(3, {**review.payload(), field: value}, ["x", "y"]), str)
    assert isinstance(read_review(3, [review.payload()], ["x"]), str)
    undo = Review(5, "a", "ann", "undo", undoes=3)
    assert read_review(5, undo.payload(), ["x"]) == Review.of(5, undo.payload()) == undo
    assert isinstance(read_review(5, {**undo.payload(), "undoes": "3"}, ["x"]), str)
    earlier = {name: value for name, value in undo.payload().items() if name != "undoes"}
    assert read_review(5, earlier, ["x"]) == Review.of(5, earlier) == Review(5, "a", "ann", "undo")
    assert "undoes" not in review.payload()


@given(st.floats(0, 1), st.floats(0, 1))
def test_who_is_chosen_for_a_second_opinion_stays_chosen_where_more_are(one, other):
    low, high = sorted((one, other))
    items = [f"i{n}" for n in range(50)]
    chosen = {item for item in items if wants_second(item, low)}
    assert chosen <= {item for item in items if wants_second(item, high)}


def test_about_as_many_take_two_as_are_wanted():
    items = [f"i{n}" for n in range(2000)]
    assert not any(wants_second(item, 0) for item in items)
    assert all(wants_second(item, 1) for item in items)
    assert 500 < sum(wants_second(item, 0.3) for item in items) < 700


def test_a_question_is_answered_once_two_agree_where_two_are_wanted():
    one = standing(said(("ann", "label", "x")))["a"]
    two = standing(said(("ann", "label", "x"), ("bea", "label", "x")))["a"]
    split = standing(said(("ann", "label", "x"), ("bea", "label", "y")))["a"]
    assert [answered(found, "a", 0) for found in (None, one, two, split)] == [0, 1, 1, 0]
    assert [answered(found, "a", 1) for found in (None, one, two, split)] == [0, 0, 1, 0]
