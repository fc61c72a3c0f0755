"""The statistics of experiments between algorithms, pure: numbers in, numbers out.

Knows NumPy, SciPy and, for planning, statsmodels; no Django, no settings, no clock, no algorithms. Whoever asks
brings one observation a unit of assignment, its first label, in the order in which labels arrived, of arms that ran
at the same time.
"""
