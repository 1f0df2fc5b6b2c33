"""What was held to be true at one step and at a later one."""

from labelwright.tools.ledger import Consensus, Ledger


def test_what_was_concluded_otherwise_since_a_step(tmp_path):
    with Ledger(tmp_path / "l.sqlite") as ledger:

        def conclude(step, **said):
            made = [
                Consensus(i, label, 0.9, True, "m", out, "", {}) for i, (label, out) in said.items()
            ]
            ledger.votes.conclude(step, 1, made)

        accept, none = "accept", (None, "set_apart")
        conclude(
            3, same=("a", accept), moved=("a", accept), back=("a", accept), apart=("a", accept)
        )
        conclude(5, same=("a", accept), found=("b", "set_apart"), none=none)
        conclude(7, moved=("b", accept), back=("b", accept), apart=("a", "set_apart"))
        conclude(8, back=("a", accept), found=("b", accept), new=("c", accept), none=none)
        conclude(9, same=("d", accept))
        assert ledger.votes.relabelled(5, 8) == [
            ("apart", ("accept", "a"), ("set_apart", "a")),
            ("found", ("set_apart", "b"), ("accept", "b")),
            ("moved", ("accept", "a"), ("accept", "b")),
            ("new", None, ("accept", "c")),
        ]
        assert ledger.votes.relabelled(8, 8) == []
        assert len(ledger.votes.relabelled(0, 9)) == 7
