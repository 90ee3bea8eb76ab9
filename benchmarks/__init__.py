"""Longshore beside each engine's own limit and beside its peers, measured in one run.

``python -m benchmarks`` runs everything and writes ``benchmarks/RESULTS.md``.
"""
