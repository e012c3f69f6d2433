"""Several processes at one work: how they are started, who each of them is, how they agree."""
