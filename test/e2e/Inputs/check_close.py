"""Compares two CSV files of numbers. usage: check_close.py TOLERANCE A.csv B.csv (|a - b| ≤ tolerance·(1 + |b|))"""
import csv
import sys

tolerance = float(sys.argv[1])
a, b = ([row for row in csv.reader(open(path))] for path in sys.argv[2:4])
if a[0] != b[0] or [len(row) for row in a] != [len(row) for row in b]:
    sys.exit("the files have different columns or rows")
worst = max(abs(float(x) - float(y)) / (1 + abs(float(y))) for r, s in zip(a[1:], b[1:]) for x, y in zip(r, s))
print(f"{len(a) - 1} rows, largest difference {worst:.3g}")
sys.exit(not worst <= tolerance)
