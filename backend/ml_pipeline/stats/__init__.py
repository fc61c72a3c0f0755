"""The statistics of experiments between algorithms and of monitoring, pure: numbers in, numbers out.

Knows NumPy, SciPy and, for planning, statsmodels; no Django, no settings, no clock, no algorithms. For an experiment
whoever asks brings one observation a unit of assignment, its first label, in the order in which labels arrived, of
arms that ran at the same time. For monitoring it is totals: `latencies`, `classifications`, `regressions` and
`estimates`; counts in bins: `drift`; and right and wrong in the order in which labels arrived: `detectors`.
"""
