"""How a run ends its job before it returns."""
