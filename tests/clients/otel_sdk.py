"""Sends GenAI spans and Claude Code log events with the OpenTelemetry SDK, over
protobuf and over JSON, and compares what Spendlake then says with what was sent.

    python otel_sdk.py http://127.0.0.1:8787 TOKEN

Prints the totals as JSON; ends with an error when one differs.
"""

import base64
import json
import sys
import time
import urllib.request
import uuid
from decimal import Decimal

from google.protobuf.json_format import MessageToDict
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, set_span_in_context

URL = sys.argv[1]
TOKEN = {"authorization": f"Bearer {sys.argv[2]}"}
CALLS = 200
MARK = "MARKED PROMPT TEXT"
HEADER = "x-spendlake-organization"
IDS = {"traceId", "spanId", "parentSpanId"}
# gpt-4o in the price list 2026-11-23, USD a token.
INPUT, CACHED, OUTPUT = Decimal("0.0000025"), Decimal("0.00000125"), Decimal("0.00001")
CLASSES = ["input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens"]


class Totals(dict):
    """What was sent: events, tokens of each class, cost."""

    def __init__(self):
        super().__init__({"total_events": 0, "actual_api_cost": Decimal(0)})
        self.update(dict.fromkeys(CLASSES, 0))

    def add(self, cost, *tokens):
        self["total_events"] += 1
        self["actual_api_cost"] += cost
        for name, count in zip(CLASSES, tokens):
            self[name] += count


def make_spans(tracer, sent):
    """Agents with one call of the model each: only the call counts."""
    for number in range(CALLS):
        agent = tracer.start_span("invoke_agent bot", attributes={
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.usage.input_tokens": 10_000 + number,
            "gen_ai.usage.output_tokens": 1_000,
        })
        tokens, cached, output = 2_000 + number, 1_024 + number % 7, 100 + number % 13
        call = tracer.start_span(
            "chat gpt-4o", set_span_in_context(agent), SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.response.id": f"chatcmpl-{number}",
                "gen_ai.conversation.id": f"conversation-{number % 17}",
                "gen_ai.usage.input_tokens": tokens,
                "gen_ai.usage.cache_read.input_tokens": cached,
                "gen_ai.usage.output_tokens": output,
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.input.messages": MARK,
            })
        call.add_event("gen_ai.content.prompt", {"gen_ai.prompt": MARK})
        call.end()
        agent.end()
        cost = (tokens - cached) * INPUT + cached * CACHED + output * OUTPUT
        sent.add(cost, tokens - cached, cached, 0, output)


def make_logs(logger, sent):
    """Claude Code's event of a call, beside a prompt that must not be kept."""
    for number in range(CALLS):
        common = {"session.id": f"session-{number % 11}", "user.account_uuid": str(uuid.UUID(int=number % 5))}
        tokens = [number, 5_000 + number, number % 300, 50 + number % 31]
        cost = 0.0001 + number * 0.000137
        emit(logger, "user_prompt", {**common, "prompt": MARK})
        emit(logger, "api_request", {
            **common,
            "event.sequence": number,
            "model": "claude-sonnet-4-5-20250929",
            "request_id": f"req_{uuid.uuid4().hex}",
            "cost_usd": cost,
            "duration_ms": 900 + number,
            "input_tokens": tokens[0],
            "cache_read_tokens": tokens[1],
            "cache_creation_tokens": tokens[2],
            "output_tokens": tokens[3],
        })
        # The column has twelve digits; a float's shortest form may have more.
        sent.add(Decimal(repr(cost)).quantize(Decimal("1e-12")), *tokens)


def emit(logger, name, attributes):
    logger.emit(LogRecord(
        timestamp=time.time_ns(),
        severity_number=SeverityNumber.INFO,
        body=f"claude_code.{name}",
        attributes={"event.name": name, **attributes},
    ))


def hexadecimal(node):
    """The one rule in which OTLP/JSON differs from protobuf's own JSON."""
    if isinstance(node, list):
        return [hexadecimal(item) for item in node]
    if isinstance(node, dict):
        return {
            key: base64.b64decode(item).hex() if key in IDS else hexadecimal(item)
            for key, item in node.items()
        }
    return node


def post_json(path, message, organization):
    body = json.dumps(hexadecimal(MessageToDict(message, use_integers_for_enums=True))).encode()
    headers = {**TOKEN, "content-type": "application/json", HEADER: organization}
    with urllib.request.urlopen(urllib.request.Request(URL + path, body, headers)) as answer:
        assert json.load(answer) == {}, path


def send_protobuf(organization, sent):
    resource = Resource.create({"service.name": "claude-code", "spendlake.organization_id": organization})
    headers = {**TOKEN, HEADER: organization}
    tracers = TracerProvider(resource=Resource.create({"service.name": "support-bot"}))
    spans = OTLPSpanExporter(URL + "/v1/traces", headers=headers, compression=Compression.Gzip)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    make_spans(tracers.get_tracer("client"), sent)
    tracers.shutdown()
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(URL + "/v1/logs", headers=TOKEN)))
    make_logs(loggers.get_logger("com.anthropic.claude_code.events"), sent)
    loggers.shutdown()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(URL + "/v1/metrics", headers=TOKEN))
    meters = MeterProvider([reader], resource=resource)
    meters.get_meter("claude_code").create_counter("claude_code.cost.usage").add(99.5)
    assert meters.force_flush(), "the metrics were not taken"
    meters.shutdown()


def send_json(organization, sent):
    """There is no JSON exporter for Python; the SDK's own encoder makes the
    messages, and each is sent twice, as after a timeout."""
    span_memory, log_memory = InMemorySpanExporter(), InMemoryLogRecordExporter()
    tracers = TracerProvider(resource=Resource.create({"service.name": "support-bot"}))
    tracers.add_span_processor(BatchSpanProcessor(span_memory))
    make_spans(tracers.get_tracer("client"), sent)
    tracers.force_flush()
    loggers = LoggerProvider(resource=Resource.create({"service.name": "claude-code"}))
    loggers.add_log_record_processor(BatchLogRecordProcessor(log_memory))
    make_logs(loggers.get_logger("com.anthropic.claude_code.events"), sent)
    loggers.force_flush()
    for _ in range(2):
        post_json("/v1/traces", encode_spans(span_memory.get_finished_spans()), organization)
        post_json("/v1/logs", encode_logs(log_memory.get_finished_logs()), organization)
    tracers.shutdown()
    loggers.shutdown()


def check(organization, sent):
    path = f"{URL}/api/organizations/{organization}/analytics/summary?range=7d"
    with urllib.request.urlopen(urllib.request.Request(path, headers=TOKEN)) as answer:
        found = json.load(answer)
    for name, expected in sent.items():
        value = found[name] if isinstance(expected, int) else Decimal(found[name])
        assert value == expected, f"{name} is {value}; {expected} was sent"
    return {name: str(value) for name, value in sent.items()}


def main():
    report = {}
    for name, send in [("protobuf", send_protobuf), ("json", send_json)]:
        organization, sent = str(uuid.uuid4()), Totals()
        send(organization, sent)
        report[name] = check(organization, sent)
    print(json.dumps(report))


main()
