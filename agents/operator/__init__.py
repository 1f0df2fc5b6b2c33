"""The operator agent: every sentence becomes an answer, or an order that is shown as a diff first.

Light: nothing here needs a model, the graph or the student; `agent` is loaded where a model is
configured.
"""
