"""The only room that touches files: one reader per product, and the survey store.

- ``store``, ``writer``: the `SurveyStore`, read lazily, written in resumable chunks.
- ``galah``, ``apogee``, ``lamost``, ``sdss``, ``table``: readers; ``readers`` is the table of them.
- ``native``: a spectrum as its file gives it, and the step to one grid.
- ``fits_product``, ``pixels``, ``barycentre``, ``star_names``: what the readers share.
- ``catalogue``, ``sources``, ``files``: tables of labels, names of files, writing all or nothing.
- ``galah_format``: writing GALAH files, for mock surveys and tests.
"""

__all__: list[str] = []
