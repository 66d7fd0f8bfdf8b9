"""The figures that the field compares pose estimators by: pckh, oks, multi_person (MPII) and posetrack.

All are functions on arrays: keypoints (..., K, 2) x, y in pixels of the image, NaN where a joint is not labelled or not
predicted. All rates are percent. docs/metrics.md has a table of what is defined where, and of the official tools'
quirks, which are options.
"""
