#!/usr/bin/python3
"""Prints the table of a benchmark: the least of all counted runs of each row, and ratios to a reference.

usage: table.py [--markdown] --reference clush --title TEXT RESULTS
"""
import argparse, json

parser = argparse.ArgumentParser()
parser.add_argument("--markdown", action="store_true")
parser.add_argument("--reference", default="clush")
parser.add_argument("--title", default="")
parser.add_argument("results")
args = parser.parse_args()

with open(args.results) as file:
    runs = [json.loads(line) for line in file]
columns = list(dict.fromkeys(run["column"] for run in runs))
labels = list(dict.fromkeys(run["label"] for run in runs))
names = {"default": "default key exchange", "curve25519": "curve25519-sha256 forced"}
remarks = []


def least(label, column):
    """Least wall, CPU and peak memory, each for itself, of the runs whose answers were all right."""
    of_row = [run for run in runs if (run["label"], run["column"]) == (label, column)]
    good = [run for run in of_row if not run["problem"]]
    if len(good) < len(of_row):
        remarks.append(f"{label}, {column}: {len(of_row) - len(good)} of {len(of_row)} runs not counted: "
                       + next(run["problem"] for run in of_row if run["problem"]))
    if not good:
        return None
    row = {key: min(run[key] for run in good) for key in ("wall", "cpu", "pss", "server")}
    row["all"] = min(run["cpu"] + run["server"] for run in good)
    row["jump"] = max(run.get("jump", 0) for run in good)
    row["processes"] = max(run["processes"] for run in good)
    row["scale"] = good[0]["scale"]
    row["spread"] = max(run["wall"] for run in good) / row["wall"]
    return row


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


if args.title:
    print(f"**{args.title}**\n" if args.markdown else args.title)
for column in columns:
    rows = {label: least(label, column) for label in labels}
    reference = next((row for label, row in rows.items() if row and label.startswith(args.reference)), None)
    server = any(row and row["server"] for row in rows.values())
    header = [names.get(column, column), "wall s", f"x {args.reference}", "controller CPU s", f"x {args.reference}",
              "peak memory MiB", "processes"] + (["nodes' CPU s", "all CPU s", f"x {args.reference}"] if server else []) + ["worst/best wall"]
    jump = any("jump" in run for run in runs)
    header += ["connections at the jump host"] if jump else []
    lines = []
    for label, row in rows.items():
        if row is None:
            if any(run["label"] == label and run["column"] == column for run in runs):
                lines.append([label + " (WRONG ANSWERS)"] + ["-"] * (len(header) - 1))
            continue

        def ratio(key):
            return f"{row[key] / reference[key]:.3f}" if reference and reference[key] else "-"

        lines.append([label, f"{row['wall']:.2f}", ratio("wall"), f"{row['cpu']:.2f}", ratio("cpu"),
                      f"{row['pss'] / 1024:.0f}", f"{row['processes']}"]
                     + ([f"{row['server']:.1f}", f"{row['all']:.1f}", ratio("all")] if server else []) + [f"{row['spread']:.2f}"] + ([str(row["jump"])] if jump else []))
    table(header, lines)
    print()
count = max(sum(1 for run in runs if (run["label"], run["column"]) == (label, column))
            for label in labels for column in columns)
others = [run["others"] for run in runs]
whose = "other programs on this machine" if any(run["server"] for run in runs) else "the nodes and other programs on this machine"
print(f"Least of {count} interleaved runs each. CPU and memory (PSS, sampled) are those of the controller and all its child processes;"
      f"\n{whose} used {min(others):.1f} to {max(others):.1f} cores meanwhile.")
if any(run["server"] for run in runs):
    print("All CPU, controller and nodes together, is what bounds the wall clock as long as both are one machine; "
          "it hardly moves\nwith what else the machine does, while the wall clock does.")
for remark in dict.fromkeys(remarks):
    print("NOT COUNTED: " + remark)
