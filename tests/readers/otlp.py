"""Reads traces with the official definitions of OpenTelemetry."""

import sys
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
traces = ExportTraceServiceRequest()
traces.ParseFromString(open(sys.argv[1], 'rb').read())
spans = [span for it in traces.resource_spans for scope in it.scope_spans for span in scope.spans]
known = {(span.trace_id, span.span_id) for span in spans}
assert all(len(span.trace_id) == 16 and len(span.span_id) == 8 for span in spans)
assert all(not span.parent_span_id or (span.trace_id, span.parent_span_id) in known for span in spans), 'a parent is missing'
assert all(span.end_time_unix_nano >= span.start_time_unix_nano > 0 for span in spans)
print(len(traces.resource_spans), len(known) == len(spans), sum(not span.parent_span_id for span in spans), len(spans))
