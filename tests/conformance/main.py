"""Runs every case: `main.py [WORD]` runs those whose claim holds the word."""

import os
import sys

# loopback only: a proxy is somebody else's machine
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]

import stage
import suite
import service

# each registers its cases when it is imported
import codes
import command_line
import limits
import listings
import offers
import requests_of_ours
import roles
import signatures
import switches

ROOMS = (codes, offers, signatures, listings, switches, roles, limits, command_line, requests_of_ours)

try:
    passed = suite.run(ROOMS, " ".join(sys.argv[1:]), service.VerifyingService.counted)
finally:
    command_line.stop()
    stage.stop_shared()
sys.exit(0 if passed else 1)
