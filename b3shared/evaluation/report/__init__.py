"""Renders the evaluation as one HTML page: text, tables, pictures.

``template.html.j2`` has the text and the layout, :mod:`page` prepares the values that it shows,
:mod:`tables` and :mod:`cells` format them. :mod:`pictures` chooses the plots, and :mod:`plots`,
:mod:`return_plots` and :mod:`signal_plots` draw them.
"""
