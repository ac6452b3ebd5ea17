"""changed.py FILE COMMAND…: runs the command, changes the file after some steps are in its event log `log`, and says how it ends."""
import os
import subprocess
import sys
import time

path, command = sys.argv[1], sys.argv[2:]
before = open(path, "rb").read()
child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
while child.poll() is None and not (os.path.exists("log") and os.path.getsize("log") > 100):
    time.sleep(0.01)
with open(path, "r+b") as f:
    f.truncate(len(before) // 2)
said = child.communicate(timeout=60)[1]
print(f"exit code {child.returncode}: {said}", end="")
with open(path, "wb") as f:
    f.write(before)
