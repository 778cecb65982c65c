#!/usr/bin/python3
"""Runs a server and reaps what its children leave behind, so that their CPU is counted here.

usage: reaper.py COMMAND...

sshd's monitor does not wait for its session; without this the CPU of all commands is lost to init.
"""
import ctypes, os, sys

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
server = os.fork()
if server == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while os.wait()[0] != server:
    pass
