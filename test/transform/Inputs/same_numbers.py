"""Two texts are the same but for the last places of their numbers."""

import sys

first, second = (open(path).read().split() for path in sys.argv[1:3])
assert len(first) == len(second) > 0
for a, b in zip(first, second):
    try:
        x, y = float(a), float(b)
    except ValueError:
        assert a == b, (a, b)
        continue
    assert abs(x - y) <= 1e-6 * max(abs(x), abs(y), 1e-3), (a, b)
