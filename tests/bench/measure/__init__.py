"""The parts of the fidelity benchmark: who streams, who knows the truth, how far they differ."""
