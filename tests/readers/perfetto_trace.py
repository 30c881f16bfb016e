"""Reads a trace with Perfetto's own definitions: how many slices begin?"""

import sys
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent
trace = Trace()
trace.ParseFromString(open(sys.argv[1], 'rb').read())
tracks = {it.track_descriptor.uuid for it in trace.packet if it.HasField('track_descriptor')}
open_slices, begun, last = {}, 0, 0
for packet in trace.packet:
    if not packet.HasField('track_event'):
        continue
    assert packet.timestamp >= last and packet.track_event.track_uuid in tracks
    last = packet.timestamp
    stack = open_slices.setdefault(packet.track_event.track_uuid, [])
    if packet.track_event.type == TrackEvent.TYPE_SLICE_BEGIN:
        assert packet.track_event.name
        stack.append(packet.track_event.name)
        begun += 1
    else:
        stack.pop()
assert not any(open_slices.values()), 'a slice does not end'
print(begun)
