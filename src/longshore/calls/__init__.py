"""Calls: what is to run, with which arguments, how, and what ties it to others."""
