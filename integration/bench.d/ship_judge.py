#!/usr/bin/python3
"""Says whether a copy is the whole of what was to be copied. Prints what is wrong, and ends with 1.

usage: ship_judge.py tree DATA COPY [--read]     a copy with the same folders, as tar's and rsync's
       ship_judge.py store DATA STORE [--read]   a store of ringhaul
       ship_judge.py listing DATA FILE           a line for each file

Names and sizes are compared; with --read also what is in the files.
"""
import filecmp, os, sys


def files(root):
    """Every file below, by its path from there."""
    found = {}
    for path, folders, names in os.walk(root):
        for name in names:
            whole = os.path.join(path, name)
            found[os.path.relpath(whole, root)] = whole
    return found


def in_store(store):
    """Every file of a store's sets, by its path on the node."""
    found = {}
    for path, whole in files(os.path.join(store, "nodes")).items():
        host, keyspace, table, folder, name = path.split("/")
        found[f"{keyspace}/{table}/backups/{name}"] = whole
    return found


what, data, copy = sys.argv[1:4]
want = files(data)
if what == "listing":
    with open(copy) as file:
        lines = sum(1 for _ in file)
    sys.exit(None if lines == len(want) else f"{lines} lines for {len(want)} files")
got = in_store(copy) if what == "store" else files(copy)
bad = [path for path in want if path not in got or os.path.getsize(got[path]) != os.path.getsize(want[path])]
if not bad and "--read" in sys.argv:
    bad = [path for path in want if not filecmp.cmp(want[path], got[path], shallow=False)]
if what == "store" and not any(files(os.path.join(copy, "manifests"))):
    sys.exit("the store has no manifest")
sys.exit(f"{len(bad)} of {len(want)} files missing or wrong, {bad[0]} first" if bad else None)
