#!/usr/bin/python3
"""Prints what 'bench ship' measured: the least of each, ratios, and which aims are met.

usage: ship_table.py [--markdown | --json] --size MIB RESULTS
"""
import argparse, json

parser = argparse.ArgumentParser()
parser.add_argument("--markdown", action="store_true")
parser.add_argument("--json", action="store_true")
parser.add_argument("--size", type=int, required=True)
parser.add_argument("results")
args = parser.parse_args()

OURS, TAR, RSYNC, LISTING, HASHING = "ringhaul ship", "tar", "rsync -a", "bare listing", "one pass of hashing"
TREES = {"big": f"{args.size} MiB in few big sets", "small": "20,000 files, 14 MB, in 2,500 sets",
         "real": "The backups of a real Cassandra, 400 small sets and its system tables'"}
WORK = {"first": "first copy", "again": "nothing new", "new": "1 % new"}

with open(args.results) as file:
    runs = [json.loads(line) for line in file]
for run in runs:
    run["tree"], run["work"] = run["column"].split()


def least(tree, work, label):
    """Least wall and CPU, each for itself, and most memory, of the runs whose copies were right."""
    of_row = [run for run in runs if (run["tree"], run["work"], run["label"]) == (tree, work, label)]
    good = [run for run in of_row if not run["problem"]]
    if not of_row:
        return None
    # Where a real Cassandra works on the node, what sshd used there is not counted apart.
    is_apart = tree != "real"
    row = {"tree": tree, "work": work, "label": label, "runs": len(of_row), "counted": len(good),
           "problem": next((run["problem"] for run in of_row if run["problem"]), None)}
    if good:
        row |= {"wall_s": min(run["wall"] for run in good), "worst_wall_s": max(run["wall"] for run in good),
                "controller_cpu_s": min(run["cpu"] for run in good), "node_cpu_s": min(run["server"] for run in good) if is_apart else None,
                "all_cpu_s": min(run["cpu"] + run["server"] for run in good) if is_apart else None,
                "memory_mb": max(run["pss"] for run in good) * 1024 / 1e6}
    return row


rows = {}
for run in runs:
    key = run["tree"], run["work"], run["label"]
    rows.setdefault(key, least(*key))


def value(tree, work, label, key):
    row = rows.get((tree, work, label))
    return row.get(key) if row else None


def ratio(a, b):
    return a / b if a is not None and b else None


def all_aims():
    """Each aim: its words, what was measured, and the most it may be. None where it could not be measured."""
    for tree in ("big", "small"):
        if not any(run["tree"] == tree for run in runs):
            continue
        ours = {work: value(tree, work, OURS, "wall_s") for work in WORK}
        tar, rsync = value(tree, "first", TAR, "wall_s"), value(tree, "first", RSYNC, "wall_s")
        faster = min((wall for wall in (tar, rsync) if wall), default=None)
        yield f"{tree}: first copy, to the faster of tar and rsync", ratio(ours["first"], faster), 1.0
        yield f"{tree}: nothing new, to rsync", ratio(ours["again"], value(tree, "again", RSYNC, "wall_s")), 1.0
        yield f"{tree}: nothing new, to the bare listing", ratio(ours["again"], value(tree, "again", LISTING, "wall_s")), 1.2
        work, hashing = value(tree, "first", TAR, "all_cpu_s"), value(tree, "first", HASHING, "controller_cpu_s")
        allowed = work + hashing if work and hashing else None
        yield f"{tree}: CPU of both sides, to tar and one pass of hashing", ratio(value(tree, "first", OURS, "all_cpu_s"), allowed), 1.0
    most = max((row["memory_mb"] for row in rows.values() if row["label"] == OURS and row["counted"]), default=None)
    yield "peak memory of ringhaul, to 150 MB", ratio(most, 150), 1.0


aims = [{"aim": words, "measured": measured, "at_most": limit, "is_met": None if measured is None else measured <= limit}
        for words, measured, limit in all_aims()]
others = [run["others"] for run in runs]

if args.json:
    print(json.dumps({"size_mib": args.size, "rows": list(rows.values()), "aims": aims,
                      "others_cores": {"least": min(others), "most": max(others)}}, indent=1))
    raise SystemExit


def table(header, lines):
    if args.markdown:
        print("| " + " | ".join(header) + " |\n|" + "|".join([" --- "] + [" ---: "] * (len(header) - 1)) + "|")
        for line in lines:
            print("| " + " | ".join(line) + " |")
        return
    widths = [max(len(line[i]) for line in [header] + lines) for i in range(len(header))]
    for line in [header] + lines:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(line, widths))).rstrip())


def shown(number, digits=2):
    return "-" if number is None else f"{number:.{digits}f}"


for tree, title in TREES.items():
    if not any(run["tree"] == tree for run in runs):
        continue
    print(f"**{title}**\n" if args.markdown else title)
    lines = []
    for work, name in WORK.items():
        for (of_tree, of_work, label), row in rows.items():
            if (of_tree, of_work) != (tree, work):
                continue
            if not row["counted"]:
                lines.append([f"{name}: {label} (WRONG)"] + ["-"] * 8)
                continue
            lines.append([f"{name}: {label}", shown(row["wall_s"]), shown(ratio(row["wall_s"], value(tree, "first", TAR, "wall_s"))),
                          shown(ratio(row["wall_s"], value(tree, "again", LISTING, "wall_s"))), shown(row["worst_wall_s"] / row["wall_s"]),
                          shown(row["controller_cpu_s"]), shown(row["node_cpu_s"]),
                          shown(ratio(row["all_cpu_s"], value(tree, "first", TAR, "all_cpu_s"))), shown(row["memory_mb"], 0)])
    table(["", "wall s", "x first tar", "x listing", "worst/best", "controller CPU s", "node CPU s", "all CPU x first tar", "memory MB"], lines)
    print()

print("Aims: ratio of the least, and the most it may be")
for aim in aims:
    verdict = {None: "not measured", True: "met", False: "MISSED"}[aim["is_met"]]
    print(f"  {aim['aim']:<66} {shown(aim['measured']):>6}  {aim['at_most']:.2f}  {verdict}")
print(f"\nLeast of all counted runs, memory is the most. All over aes128-gcm and curve25519, to one disk; ringhaul alone waits until\n"
      f"all is on the disk ('tar, then sync' does too), checks and hashes. Other programs used {min(others):.1f} to {max(others):.1f} cores meanwhile.")
for row in rows.values():
    if row["problem"]:
        print(f"NOT COUNTED: {WORK[row['work']]}: {row['label']}, {row['tree']}: {row['runs'] - row['counted']} of {row['runs']} runs: {row['problem'][:300]}")
