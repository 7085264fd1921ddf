"""Bodies that Schemathesis cannot write itself."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context, value):
    """One object a line, whatever the value is."""
    if isinstance(value, (bytes, str)):
        return value if isinstance(value, bytes) else value.encode(errors="replace")
    values = value if isinstance(value, list) else [value]
    return "\n".join(json.dumps(one) for one in values).encode()


@schemathesis.serializer("application/x-protobuf")
def protobuf(_context, value):
    """Bytes at random: hardly ever a message."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
