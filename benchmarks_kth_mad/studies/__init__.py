"""What studies of several networks share: configs, their options, steps that are done once, verdicts."""
