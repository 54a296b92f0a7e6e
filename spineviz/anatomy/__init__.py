"""The body: vertebrae, discs, sacrum, ribs, nerves, fracture, tumour, trunk, each measured in millimetres."""
