"""resident.py SUMMARY COMMAND…: holds the largest resident set of the command against what `dnnc summary` predicted."""
import os
import re
import subprocess
import sys

text = open(sys.argv[1]).read()
predicted = int(re.search(r"dnnc run needs about ([0-9,]+) bytes", text).group(1).replace(",", ""))
child = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(child.pid, 0)
measured = usage.ru_maxrss * 1024
close = status == 0 and abs(measured - predicted) <= 0.15 * predicted
print(f"predicted {predicted}, measured {measured}: {'within' if close else 'not within'} 15%")
