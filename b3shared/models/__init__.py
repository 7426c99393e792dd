"""The models: one module each behind the interface of :mod:`b3shared.models.base`, and the scorer that serves them."""
