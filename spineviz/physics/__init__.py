"""How things move and fill: cement through trabecular bone."""
