"""Reads lines like `te.acc 0.97` and compares one of them. usage: check_metric.py NAME >=|<= NUMBER < lines"""
import sys

name, relation, bound = sys.argv[1], sys.argv[2], float(sys.argv[3])
values = dict(line.split()[:2] for line in sys.stdin if len(line.split()) >= 2)
if name not in values:
    sys.exit(f"there is no {name} in {sorted(values)}")
value = float(values[name])
holds = value >= bound if relation == ">=" else value <= bound
print(f"{name} {value} {relation} {bound}: {'holds' if holds else 'fails'}")
sys.exit(not holds)
