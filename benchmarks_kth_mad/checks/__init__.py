"""Methods x checks: every attribution method asked the same questions on one trained network.

A check gives one value for a clip's map. `catalogue` says what is asked, `bench` whom and about what,
`experiment` asks, `tables` and `verdicts` say what the answers are worth, `report` writes it down.
"""
