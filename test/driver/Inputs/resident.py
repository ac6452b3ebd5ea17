"""resident.py SUMMARY executable|run COMMAND…: holds the largest resident set of the command against what `dnnc summary`
predicted, for an executable or for `dnnc run`, whose own part is less certain."""
import os
import re
import subprocess
import sys

text = open(sys.argv[1]).read()
what, most = {"executable": ("an executable", 10), "run": ("dnnc run", 15)}[sys.argv[2]]
predicted = int(re.search(what + r" needs about ([0-9,]+) bytes", text).group(1).replace(",", ""))
child = subprocess.Popen(sys.argv[3:])
_, status, usage = os.wait4(child.pid, 0)
measured = usage.ru_maxrss * 1024
close = status == 0 and abs(measured - predicted) <= most / 100 * measured
print(f"predicted {predicted}, measured {measured}: {'within' if close else 'not within'} {most}%")
