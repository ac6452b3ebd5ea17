"""Prints a digest of an event log."""

import json
import sys

events = [json.loads(line) for line in open(sys.argv[1])]
by_kind = {}
for event in events:
    by_kind.setdefault(event["event"], []).append(event)
fixed = {"event", "epoch", "step", "seconds"}
start, end = by_kind["start"][0], by_kind["end"][0]
print("start", start["program"], "seed", start["seed"])
print("steps", [event["rows"] for event in by_kind["step"]])
print("epochs", *(f"{event['epoch']}:{','.join(k for k in event if k not in fixed)}" for event in by_kind["epoch"]))
print("checkpoint", by_kind["checkpoint"][0]["path"])
print("end", end["reason"], end["step"])
