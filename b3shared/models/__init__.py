"""The models behind the interface of :mod:`b3shared.models.base`, and what serves them."""
