"""Declarative rules: YAML, read with its types and line numbers, compiled to what every policy is: facts to verdict.

A file grants, requires and denies. `allow` rules grant: one that fits is enough. `require` rules bind whatever they
apply to: each must hold, and may spend of counters or ask people. `deny` rules deny what they fit. So no rule needs to
stand before another, and a denial always overrides.

A fact that is not there never helps a request: a condition on it is unknown, which grants nothing in `allow`, exempts
from nothing in `unless`, and lets a rule of `require` or `deny` apply.
"""
