"""Runs a program, sends SIGINT once its first line is out, prints its standard error and `exit CODE`."""

import signal
import subprocess
import sys

process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
process.stdout.readline()
process.send_signal(signal.SIGINT)
_, errors = process.communicate(timeout=120)
print(errors, end="")
print("exit", process.returncode)
