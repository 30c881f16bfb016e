"""Runs LocalStack on this machine alone, until standard input ends: its starter is gone then."""

import functools
import os
import runpy
import sys
import threading

from twisted.internet import endpoints

# LocalStack listens on every address, whatever it is told; the tests want none but this machine's.
endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")


def watch():
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=watch, daemon=True).start()
runpy.run_module("localstack.runtime.main", run_name="__main__")
