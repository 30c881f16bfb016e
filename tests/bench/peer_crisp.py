"""Critical paths of Jaeger traces by CRISP, and the time of each operation on them; timed without reading the file.

CRISP (uber-research/CRISP, Apache-2.0) is on no package index. With CRISP_PATH set to a checkout of it, its own code does
the work; without, its published rule is: children sorted by their ends, the last one is followed, then whatever happens
before it (an overlap of up to 1 % is taken for clock skew when exactly two events lie in it), and so on inside. A span's
own time is what its children on the path leave of it.
"""

import json
import os
import sys
import time

OVERLAP = 0.01


class Span:
    __slots__ = ("id", "name", "parent", "start", "end", "children")

    def __init__(self, raw):
        self.id = raw["spanID"]
        self.name = raw["operationName"]
        references = raw["references"]
        self.parent = references[0]["spanID"] if references else None
        self.start = raw["startTime"]
        self.end = raw["startTime"] + raw["duration"]
        self.children = []


def graph(trace):
    spans = {}
    for raw in trace["data"][0]["spans"]:
        span = Span(raw)
        spans[span.id] = span
    root = None
    for span in spans.values():
        if span.parent is None:
            root = span
        else:
            spans[span.parent].children.append(span)
    sanitize(root)
    return root


def sanitize(parent):
    kept = []
    for child in parent.children:
        if child.end < parent.start or child.start > parent.end:
            continue
        child.start, child.end = max(child.start, parent.start), min(child.end, parent.end)
        kept.append(child)
        sanitize(child)
    parent.children = kept


def happens_before(parent, children, before, later):
    if before.end < later.start:
        return True
    duration = parent.end - parent.start
    if before.end < later.end and before.start < later.start and (before.end - later.start) / duration < OVERLAP:
        window = (later.start, before.end)
        events = sum((window[0] <= it.start <= window[1]) + (window[0] <= it.end <= window[1]) for it in children)
        return events == 2
    return False


def critical_path(node):
    path = [node]
    if not node.children:
        return path
    children = sorted(node.children, key=lambda it: it.end)[::-1]
    last = children[0]
    path.extend(critical_path(last))
    for child in children[1:]:
        if happens_before(node, children, child, last):
            path.extend(critical_path(child))
            last = child
    return path


def time_by_operation(path):
    on_path = {it.id for it in path}
    times = {}
    for span in path:
        below = sum(it.end - it.start for it in span.children if it.id in on_path)
        own = max(span.end - span.start - below, 0)
        times[span.name] = times.get(span.name, 0) + own
    return times


def published_rule(traces):
    began = time.process_time()
    steps = 0
    for trace in traces:
        path = critical_path(graph(trace))
        time_by_operation(path)
        steps += len(path)
    return time.process_time() - began, steps


def crisp_itself(traces, folder):
    sys.path.insert(0, folder)
    from crisp.graph import Graph

    began = time.process_time()
    steps = 0
    for trace in traces:
        name = trace["data"][0]["spans"][0]["operationName"]
        built = Graph(trace, name, name, filename="trace.json")
        path = built.findCriticalPath()
        built.accumeCPMetrics(path, "trace", built.rootNode)
        steps += len(path)
    return time.process_time() - began, steps


def main(path):
    with open(path) as lines:
        traces = [json.loads(line) for line in lines]
    folder = os.environ.get("CRISP_PATH")
    seconds, steps = crisp_itself(traces, folder) if folder else published_rule(traces)
    spans = sum(len(it["data"][0]["spans"]) for it in traces)
    peer = "CRISP" if folder else "CRISP's published rule"
    print(json.dumps({"peer": peer, "traces": len(traces), "spans": spans, "steps": steps, "seconds": seconds}))


main(sys.argv[1])
