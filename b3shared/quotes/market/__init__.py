"""Benchmarks of the market and sectors of the companies: read, checked, written, fetched.

They are three small files of the deployment's storage: ``market/cdi.csv``,
``market/ibovespa.csv`` and ``market/sectors.csv``.
"""
