"""Checks the event log of logs.dnn. usage: logs.py RUN.jsonl EVAL.txt"""
import json
import struct
import sys
import zlib

events = [json.loads(line) for line in open(sys.argv[1])]
epochs = [e for e in events if e["event"] == "epoch"]
end = events[-1]
evaluated = dict((line.split()[0], line.split()[1:]) for line in open(sys.argv[2]))
close = lambda a, b, by=1e-3: abs(a - b) <= by * (1 + abs(b))
print("histogram sums to 1:", "yes" if all(close(sum(e["weights"]), 1) for e in epochs) else "no")
table = [float(v) for v in evaluated["te.counts"]]
print("area under the curve:", "equal" if sum(table) == 40 and 0.5 < float(evaluated["te.auc"][0]) <= 1 else table)

image = next(e for e in events if e["event"] == "image" and e["epoch"] == 2)
data = open(image["path"], "rb").read()
width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
rows = zlib.decompress(data[data.index(b"IDAT") + 4 : data.index(b"IEND") - 8])
pixels = [rows[y * (width + 1) + 1 + x] for y in range(height) for x in range(width)]
last = [e for e in events if e["event"] == "step" and e["epoch"] == 2][-1]["raw"]
want = [int(min(max(v, 0), 1) * 255 + 0.5) for v in last]
same = all(abs(a - b) <= 1 for a, b in zip(pixels, want, strict=True)) and bits == 8
print(f"image: {width} x {height}, {'grey' if kind == 0 else kind}; values {'equal' if same else (pixels, want)}")

best = min(epochs, key=lambda e: e["te.loss"])
print("evaluated after training:", "the best epoch" if close(float(evaluated["te.loss"][0]), best["te.loss"]) else "another")
print("stopped early, later than the best:", "yes" if end["reason"] == "patience" and end["epoch"] == best["epoch"] + 4 else end)
