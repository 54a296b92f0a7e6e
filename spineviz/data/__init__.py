"""Reading of assets; every figure from the literature is a `Sourced`."""
