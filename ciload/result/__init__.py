"""The outcome of one run: the document, the thresholds on it, and the judgement. No I/O, and nothing of the engine."""
