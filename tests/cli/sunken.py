"""A module that cannot be imported."""

raise OSError("sunk\nin two lines")
