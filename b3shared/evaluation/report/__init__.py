"""The evaluation as one HTML page: its text, the figures on it, its pictures.

``template.html.j2`` has the text and the layout, :mod:`page` prepares the figures that it shows,
:mod:`cells` formats them, :mod:`pictures` says which plots are drawn, :mod:`plots` and
:mod:`return_plots` draw them.
"""
