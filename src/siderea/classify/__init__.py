"""What a spectrum is: classes, islands of a map, labels spread from a few stars to all, detectors.

`taxonomy` (codes, meanings, colours), `labels` (a person's labels laid on a sample), `clusters`
(islands of a map), `propagation` (few labels to all, with `calibration` and `novelty`), `review`
(what to label next), `detection` (measurements and their false alarms), `references` (what a
spectrum should look like), `emission`, `carbon`, `molecules`, `lithium` (detectors of what a map
misses), `line_shape` (lines broad or double), `problems` (spectra that are broken), `measure` (all
of these for a survey in chunks), `catalogue` (one class per spectrum).
"""

__all__ = [
    "calibration",
    "carbon",
    "catalogue",
    "clusters",
    "detection",
    "emission",
    "labels",
    "line_shape",
    "lithium",
    "measure",
    "molecules",
    "novelty",
    "problems",
    "profile_fit",
    "propagation",
    "references",
    "review",
    "taxonomy",
]
