"""From a clock and a scene to a finished file: shots, captions, pieces, workers, encoding."""
