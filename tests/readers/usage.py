"""Reads an Infracost usage file as YAML: monthly transitions of each machine."""

import sys

import yaml

usage = yaml.safe_load(open(sys.argv[1]))
assert usage["version"] == 0.1
print(*(f"{name.split('.')[1]}={it['monthly_transitions']:d}" for name, it in usage["resource_usage"].items()))
