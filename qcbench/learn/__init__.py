"""From a consensus to predictions: splits, networks, training, evaluation."""
