"""Reads metrics with Prometheus's own parser: executions of each machine, and whether every family says what it is."""

import sys

from prometheus_client.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(open(sys.argv[1]).read()))
assert families and all(it.documentation and it.type != "unknown" for it in families)
executions = next(it for it in families if it.name == "stepscope_executions")
print(*(f"{it.labels['state_machine']}={it.value:.0f}" for it in executions.samples))
