"""Runs every case; `main.py TEXT` runs the cases whose name contains the text."""

import os
import sys

# loopback only, no proxy
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]

import processes
import service
import suite

# each module registers its cases when it is imported
import actions
import codes
import command_line
import limits
import listings
import own_requests
import roles
import signatures
import switches

MODULES = (codes, actions, signatures, listings, switches, roles, limits, command_line, own_requests)

try:
    passed = suite.run(MODULES, " ".join(sys.argv[1:]), service.VerifyingService.counted)
finally:
    command_line.stop()
    processes.stop_shared()
sys.exit(0 if passed else 1)
