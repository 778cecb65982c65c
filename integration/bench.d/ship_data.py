#!/usr/bin/python3
"""Makes backups as Cassandra leaves them: whole sets of eight files, in the folders of their tables.

usage: ship_data.py make DATA --sets N --bytes N [--tables N]
       ship_data.py add DATA --sets N --bytes N       sets that were not there before
       ship_data.py drop DATA                         takes those away again

Data.db has the checksum that Digest.crc32 tells, TOC.txt names all eight; all files are a day old.
"""
import argparse, os, time, zlib

ADDED = 1_000_000  # generations from here on are those of 'add'
# What each component has of a set's bytes; the rest is Data.db's. Small sets are mostly Statistics.db, as they are in Cassandra.
LARGE = {"Index": 0.02, "Summary": 0.001, "Filter": 0.01, "Statistics": 0.0001, "CompressionInfo": 0.001}
SMALL = {"Index": 0.01, "Summary": 0.015, "Filter": 0.003, "Statistics": 0.85, "CompressionInfo": 0.008}
TOC = ["Data.db", "Statistics.db", "Digest.crc32", "TOC.txt", "CompressionInfo.db", "Filter.db", "Index.db", "Summary.db"]
BLOCK = os.urandom(1 << 20)
OLD = time.time() - 86400


def folders(data):
    """The backups folders in there."""
    found = [os.path.join(path, "backups") for path, names, _ in os.walk(data) if "backups" in names]
    return sorted(found)


def write(path, size, mark):
    """A file of this size, like no other; returns its CRC-32."""
    crc = 0
    with open(path, "wb") as file:
        while size > 0:
            mark += 1
            piece = (mark.to_bytes(16, "big") + BLOCK[16:])[:size]
            file.write(piece)
            crc = zlib.crc32(piece, crc)
            size -= len(piece)
    return crc


def make_set(folder, generation, size):
    name = os.path.join(folder, f"oa-{generation}-big-")
    mark = zlib.crc32(folder.encode()) << 64 | generation << 32
    left = size
    for component, part in (LARGE if size > 1 << 20 else SMALL).items():
        of_it = max(8, int(size * part))
        write(f"{name}{component}.db", of_it, mark + (len(component) << 24))
        left -= of_it
    crc = write(f"{name}Data.db", max(32, left), mark)
    with open(f"{name}Digest.crc32", "w") as file:
        file.write(str(crc))
    with open(f"{name}TOC.txt", "w") as file:
        file.write("".join(f"{component}\n" for component in TOC))
    for component in TOC:
        os.utime(name + component, (OLD, OLD + generation % 86000))


def make_sets(places, first, sets, size):
    for n in range(sets):
        make_set(places[n % len(places)], first + n // len(places), size // sets)


parser = argparse.ArgumentParser()
parser.add_argument("what", choices=("make", "add", "drop"))
parser.add_argument("data")
parser.add_argument("--sets", type=int, default=0)
parser.add_argument("--bytes", type=int, default=0)
parser.add_argument("--tables", type=int, default=2)
args = parser.parse_args()
os.umask(0o022)
if args.what == "make":
    for table in range(1, args.tables + 1):
        id = zlib.crc32(b"%d" % table)
        os.makedirs(os.path.join(args.data, f"shop{table % 2}", f"table{table}-{id:08x}{table:024x}", "backups"))
    make_sets(folders(args.data), 1, args.sets, args.bytes)
elif args.what == "add":
    make_sets(folders(args.data), ADDED, args.sets, args.bytes)
else:
    for folder in folders(args.data):
        for name in os.listdir(folder):
            if int(name.split("-")[1]) >= ADDED:
                os.unlink(os.path.join(folder, name))
