#!/usr/bin/python3
"""Runs one command and measures it: wall, CPU with all children, memory of the whole process tree.

usage: measure.py --label ROW --column KEX (--check KIND --addresses FILE | --judge COMMAND) --limit S [--server PID,PID] [--jump-log FILE]
                  --out FILE --results FILE -- COMMAND...

Appends one line of JSON to --results. A run with a missing or a wrong answer is marked there,
with what was wrong, and counts for nothing.
"""
import argparse, collections, json, os, re, resource, select, signal, subprocess, sys, time

TICK = os.sysconf("SC_CLK_TCK")


def tree(root):
    """The process `root` and all its living descendants."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as file:
                    todo.extend(int(word) for word in file.read().split())
        except OSError:
            pass
    return found


def memory(pids):
    """PSS and RSS of all of them in KiB. PSS shares pages among those who share them."""
    pss = rss = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                for line in file:
                    if line.startswith("Pss:"):
                        pss += int(line.split()[1])
                    elif line.startswith("Rss:"):
                        rss += int(line.split()[1])
        except OSError:
            pass
    return pss, rss


def servers_cpu(reapers):
    """CPU seconds of all servers."""
    return sum(server_cpu(reaper) for reaper in reapers)


def server_cpu(reaper):
    """CPU seconds of sshd and of all that it and its reaper have seen end."""
    total = 0
    with open(f"/proc/{reaper}/task/{reaper}/children") as file:
        children = file.read().split()
    # The listener has never ended; its sessions have, and are in its own record or in the reaper's.
    for pid, begin in [(reaper, 13), *((child, 11) for child in children)]:
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(") ", 1)[1].split()
            total += sum(int(field) for field in fields[begin:15])
        except OSError:
            pass
    return total / TICK


def jump_connections(path):
    """Connections that the jump host has seen, and those it turned away."""
    try:
        with open(path, errors="replace") as file:
            text = file.read()
    except OSError:
        return 0, 0
    return text.count("\nConnection from "), len(re.findall(r"^drop connection", text, re.M))


def machine_cpu():
    """CPU seconds that everything on this machine has used."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) / TICK


def wanted(address):
    """What the stand-in nodetool of this address says to statusbackup."""
    return "not running" if int(address.rsplit(".", 1)[1]) % 7 == 0 else "running"


def check(kind, path, addresses):
    """What is wrong with the answers, or nothing."""
    with open(path, errors="replace") as file:
        text = file.read()
    if kind == "named":  # clush: "address: answer"
        got = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        bad = [a for a in addresses if got.get(a) != wanted(a)]
    elif kind == "inline":  # pssh -i: "[1] 01:02:03 [SUCCESS] address", then the answer
        got = dict(re.findall(r"\[SUCCESS\] (\S+)\n(.*)\n", text))
        bad = [a for a in addresses if got.get(a) != wanted(a)]
    elif kind == "bare":  # ssh alone: the answers, without names
        got = collections.Counter(text.splitlines())
        want = collections.Counter(wanted(a) for a in addresses)
        return None if got == want else f"answers {dict(got)}, not {dict(want)}"
    elif kind == "audit":
        return check_audit(text, addresses)
    else:  # any: N answers of a real nodetool
        got = len(re.findall(r"\brunning$", text, re.M))
        return None if got == len(addresses) else f"{got} answers of {len(addresses)}"
    return f"{len(bad)} of {len(addresses)} wrong or missing, {bad[0]} first" if bad else None


def check_audit(text, addresses):
    """Every node with everything learnt: flags, version, backup sets, disks, place in the ring."""
    try:
        nodes = {node["name"]: node for node in json.loads(text)["nodes"]}
    except (ValueError, KeyError) as error:
        return f"no audit: {error}"
    bad = []
    for address in addresses:
        node = nodes.get(address)
        if node is None:
            bad.append(f"{address} missing")
        elif STAND_IN and node["live"] != (wanted(address) == "running"):
            bad.append(f"{address} live {node['live']} {node['reason']}")
        elif STAND_IN and (node["backups"] or {}).get("sets") != 8:
            bad.append(f"{address} backups {node['backups']}")
        elif node["live"] is None or node["configured"] is None or node["unknown"]:
            bad.append(f"{address} not known: {node['unknown']}")
        elif not (node["version"] and node["disks"] and node["host_id"]):
            bad.append(f"{address} version {node['version']}, disks {node['disks']}, host id {node['host_id']}")
    return f"{len(bad)} of {len(addresses)} bad: {bad[0]}" if bad else None


def judge(command, code):
    """What a command of the shell has against the result, or nothing."""
    if code:
        return f"it ended with {code}"
    said = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return None if said.returncode == 0 else (said.stdout + said.stderr).strip() or f"the judge ended with {said.returncode}"


parser = argparse.ArgumentParser()
for name in ("label", "column", "out", "results"):
    parser.add_argument("--" + name, required=True)
for name in ("check", "addresses", "judge"):
    parser.add_argument("--" + name)
parser.add_argument("--limit", type=float, required=True)
parser.add_argument("--server", default="0", help="pids of reapers, with commas between")
parser.add_argument("--jump-log", default="/nonexistent")
parser.add_argument("--scale", type=float, default=1.0, help="hosts that stand for more: factor of time and CPU")
parser.add_argument("command", nargs="+")
args = parser.parse_args()
servers = [int(pid) for pid in args.server.split(",") if pid != "0"]
STAND_IN = bool(servers)
addresses = []
if args.addresses:
    with open(args.addresses) as file:
        addresses = file.read().split()
if args.scale != 1.0:
    addresses = addresses[: round(len(addresses) / args.scale)]

before = servers_cpu(servers), machine_cpu()
jump_before = jump_connections(args.jump_log)
peak_pss = peak_rss = processes = 0
limit_hit = False
# A process group of its own, so that the time limit ends all of it.
with open(args.out, "wb") as out, open(args.out + ".err", "wb") as err:
    began = time.monotonic()
    child = subprocess.Popen(args.command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
    # From here on a signal to this program ends the command too.
    signal.signal(signal.SIGTERM, lambda *_: (os.killpg(child.pid, signal.SIGKILL), sys.exit(143)))
    pidfd = os.pidfd_open(child.pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    pause = 0.005
    while not poll.poll(pause * 1000):
        looked = time.monotonic()
        if looked - began > args.limit:
            os.killpg(child.pid, signal.SIGKILL)
            limit_hit = True
            break
        pids = tree(child.pid)
        pss, rss = memory(pids)
        peak_pss, peak_rss, processes = max(peak_pss, pss), max(peak_rss, rss), max(processes, len(pids))
        # Every 20 ms, but never more than a fiftieth of one CPU: looking at 65 processes is not free, and is
        # not to be paid for by who has 65 processes.
        pause = max(0.02, 49 * (time.monotonic() - looked))
    code = child.wait()
    wall = time.monotonic() - began
use = resource.getrusage(resource.RUSAGE_CHILDREN)
# sshd reaps its sessions a moment after they have ended; what it reaps later counts for nobody.
previous = servers_cpu(servers)
for _ in range(40 if servers else 0):
    time.sleep(0.1)
    now = servers_cpu(servers)
    if now == previous:
        break
    previous = now
if limit_hit:
    problem = f"not done after {args.limit:.0f} s"
elif args.judge:
    problem = judge(args.judge, code)
else:
    problem = check(args.check, args.out, addresses)
row = {
    "label": args.label, "column": args.column, "hosts": len(addresses), "scale": args.scale,
    "wall": wall * args.scale, "cpu": (use.ru_utime + use.ru_stime) * args.scale,
    # The biggest process's own record is exact; samples may miss the last moment.
    "pss": max(peak_pss, use.ru_maxrss if processes == 1 else 0), "rss": max(peak_rss, use.ru_maxrss),
    "processes": processes, "exit": code, "problem": problem,
    "server": (servers_cpu(servers) - before[0]) * args.scale,
}
others = machine_cpu() - before[1] - row["cpu"] / args.scale - row["server"] / args.scale
row["others"] = max(0.0, others / wall)
seen, dropped = (now - then for now, then in zip(jump_connections(args.jump_log), jump_before))
if os.path.exists(args.jump_log):
    row["jump"], row["dropped"] = seen, dropped
with open(args.results, "a") as file:
    file.write(json.dumps(row) + "\n")
jump = f"  jump host: {seen} connections, {dropped} turned away" if "jump" in row else ""
said = "" if not problem else f"  NOT COUNTED: {problem}"
print(f"bench:   {args.label:<22} {args.column:<11} {row['wall']:8.2f} s  cpu {row['cpu']:7.2f} s  "
      f"pss {row['pss'] / 1024:6.1f} MiB  processes {processes:3d}  nodes' cpu {row['server']:7.2f} s  "
      f"others {row['others']:.1f} cores{jump}{said}", file=sys.stderr)
if problem:
    with open(args.out + ".err", errors="replace") as file:
        for line in file.read().splitlines()[:5]:
            print(f"bench:     {line}", file=sys.stderr)
