"""Are two CSV files of numbers the same but for rounding? usage: close.py A B TOLERANCE"""
import csv
import sys

a, b = ([list(map(float, row)) for row in list(csv.reader(open(path)))[1:]] for path in sys.argv[1:3])
worst = max(abs(x - y) for left, right in zip(a, b, strict=True) for x, y in zip(left, right, strict=True))
print("equal" if worst <= float(sys.argv[3]) else f"they differ by {worst}")
