"""The box series of Ismail et al. (NeurIPS 2019): maps judged against where the evidence is known to be."""
