"""What every peer's process does: warm up, repeat a step, print one JSON object on standard output."""
import json
import os
import time

CHUNK_SECONDS = 3e-4  # short steps are timed several at a time, so that reading the clock does not count
WARM_UP_SECONDS = 0.3
MOST_SECONDS = 12 # of measuring steps that take seconds each, of which there are fewer samples then


def since_start():
    """Seconds since the harness started this process, import and compilation included."""
    return time.monotonic() - float(os.environ["BENCH_START"])


def peak_megabytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def measure(step, seconds, wait=lambda result: None, steps_in_call=1):
    """Calls step() for about `seconds` and returns (min, median) of one step in microseconds, and their number."""
    end = time.perf_counter() + min(seconds, WARM_UP_SECONDS)
    done = 0
    start = time.perf_counter()
    while time.perf_counter() < end or (done < 3 and time.perf_counter() < start + MOST_SECONDS / 3):
        result = step()
        done += 1
    wait(result)
    chunk = max(1, round(CHUNK_SECONDS * done / (time.perf_counter() - start)))
    samples = []
    begin = time.perf_counter()
    while (not samples or time.perf_counter() < begin + seconds or
           (len(samples) < 5 and time.perf_counter() < begin + MOST_SECONDS)):
        start = time.perf_counter()
        for _ in range(chunk):
            result = step()
        wait(result)
        samples.append((time.perf_counter() - start) / (chunk * steps_in_call))
    samples.sort()
    return samples[0] * 1e6, samples[len(samples) // 2] * 1e6, len(samples)


def report(version, imported, first_step, times):
    """`imported` is the largest resident set before there was a tensor, in MB; `times` is what measure returned, or None for
    a process that only took its first step."""
    result = {"version": version, "first_step_s": first_step, "imported_mb": imported, "peak_mb": peak_megabytes()}
    if times:
        result.update({"min_us": times[0], "median_us": times[1], "samples": times[2]})
    print(json.dumps(result))
