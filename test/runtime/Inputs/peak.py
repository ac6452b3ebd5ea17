"""peak.py MB COMMAND…: runs the command and says whether its largest resident set stays below so many megabytes."""
import os
import subprocess
import sys

child = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(child.pid, 0)
peak = usage.ru_maxrss / 1024
print(f"status {status}, {'below' if peak < int(sys.argv[1]) else f'{peak:.0f} MB, not below'} {sys.argv[1]} MB")
