"""The commands of ``b3``: each is imported when it is used."""
