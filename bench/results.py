"""Tables between markers of a README, and what this machine is."""

import datetime
import os
import platform
import re


def machine_text():
    with open("/proc/cpuinfo") as f:
        cpu = re.search(r"^model name\s*:\s*(.*)$", f.read(), re.M).group(1)
    return "%s, %s, %d cores; Linux %s, %s" % (
        cpu, platform.machine(), os.cpu_count(), platform.release(), datetime.date.today().isoformat())


def replace_table(path, name, table):
    """Puts `table` between the markers of `name`; without a path it is printed."""
    print("\n" + table)
    if not path:
        return
    begin, end = "<!-- %s: written by the benchmark -->" % name, "<!-- end of %s -->" % name
    with open(path) as f:
        text = f.read()
    if begin not in text or end not in text:
        raise SystemExit("%s: the markers of %s are missing" % (path, name))
    with open(path, "w") as f:
        f.write(text.split(begin)[0] + begin + "\n" + table + "\n" + end + text.split(end)[1])
