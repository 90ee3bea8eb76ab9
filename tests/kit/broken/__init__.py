"""Drivers with one defect each: the memory driver, spoilt on purpose. The kit must find each, for its own reason."""
