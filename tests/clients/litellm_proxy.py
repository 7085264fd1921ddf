"""A real LiteLLM proxy that logs to Spendlake, driven line by line.

    litellm_proxy.py FOLDER ENDPOINT ORGANIZATION

Starts a proxy (offline) with its configuration and logs below FOLDER, and a
provider of its own that answers in the shapes of OpenAI and Anthropic. Then
reads commands: `calls N` makes N calls and answers `made N`; the end of the
input stops everything. LiteLLM's own figures, as a second callback gets them,
are in FOLDER/figures.jsonl, one line a logged attempt.
"""

import concurrent.futures
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

MASTER_KEY = "sk-5f1c8a0b7d3e4926a1f0c2d4"
THREADS = 8
READY_SECONDS_MAX = 180

# What LiteLLM logs, written by LiteLLM's process itself.
FIGURES = '''
import json
from litellm.integrations.custom_logger import CustomLogger

class Figures(CustomLogger):
    def write(self, kwargs):
        call = kwargs["standard_logging_object"]
        with open({path!r}, "a") as file:
            file.write(json.dumps({{name: call[name] for name in (
                "litellm_call_id", "model", "model_group", "status", "startTime", "prompt_tokens",
                "completion_tokens", "response_cost")}}) + "\\n")

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.write(kwargs)

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        self.write(kwargs)

handler = Figures()
'''


class Provider(http.server.BaseHTTPRequestHandler):
    """Answers with cached tokens, in the provider's own way of counting them."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        name = "request-id" if "messages" in self.path else "x-request-id"
        number = time.time_ns()
        body = json.dumps(self.anthropic(number) if "messages" in self.path else self.openai(number)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header(name, f"req_{number}")
        self.end_headers()
        self.wfile.write(body)

    def openai(self, number):
        return {
            "id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1, "model": "gpt-4o",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
            "usage": {"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
                      "prompt_tokens_details": {"cached_tokens": 1920},
                      "completion_tokens_details": {"reasoning_tokens": 128}},
        }

    def anthropic(self, number):
        return {
            "id": f"msg_{number}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": 21, "output_tokens": 393, "cache_creation_input_tokens": 1188,
                      "cache_read_input_tokens": 9107,
                      "cache_creation": {"ephemeral_5m_input_tokens": 188, "ephemeral_1h_input_tokens": 1000}},
        }

    def log_message(self, *_):
        pass


def model(name, **params):
    return {"model_name": name, "litellm_params": {"api_key": "none", **params}}


def config(provider, endpoint, organization, token):
    """JSON is YAML."""
    mock = {"mock_response": "hello there"}
    return {
        "model_list": [
            model("gpt", model="openai/gpt-4o", **mock),
            model("claude", model="anthropic/claude-sonnet-4-5", **mock),
            model("house", model="openai/house-model-7", **mock),
            model("refused", model="openai/gpt-4o-mini", mock_response="litellm.RateLimitError"),
            model("flaky", model="openai/gpt-4o-mini", mock_response="litellm.InternalServerError"),
            model("gpt-cached", model="openai/gpt-4o", api_base=f"{provider}/v1"),
            model("claude-cached", model="anthropic/claude-sonnet-4-5", api_base=provider),
        ],
        "litellm_settings": {"callbacks": ["spendlake", "figures.handler"], "num_retries": 1},
        "router_settings": {"fallbacks": [{"flaky": ["gpt"]}]},
        "callback_settings": {
            "spendlake": {
                "callback_type": "generic_api",
                "endpoint": endpoint,
                "headers": {
                    "Authorization": f"Bearer {token}",
                    "x-spendlake-organization": organization,
                },
                "max_retries": 6,
                "retry_delay": 0.5,
            }
        },
        "general_settings": {"master_key": MASTER_KEY},
    }


def group(number):
    """Which model a call asks for: mostly plain ones, now and then a failing one."""
    if number % 50 == 7:
        return "refused"
    if number % 50 == 32:
        return "flaky"
    return ["gpt", "claude", "house", "gpt-cached", "claude-cached"][number % 5]


def call(port, number):
    body = {"model": group(number), "messages": [{"role": "user", "content": f"call {number}"}],
            "user": f"user-{number % 7}", "stream": number % 20 == 0,
            "metadata": {"tags": ["project:web", "batch"], "session_id": f"session-{number // 10}"}}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {MASTER_KEY}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        if error.code != 429:
            raise


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(folder, endpoint, organization, token):
    """The proxy's process and port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    provider = f"http://127.0.0.1:{server.server_address[1]}"
    (folder / "config.yaml").write_text(json.dumps(config(provider, endpoint, organization, token)))
    (folder / "figures.py").write_text(FIGURES.format(path=str(folder / "figures.jsonl")))
    port = free_port()
    environment = {
        **os.environ,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        # Each call is sent at once. With larger batches LiteLLM loses what is
        # logged while a batch is under way: see docs/sources/litellm.md.
        "DEFAULT_BATCH_SIZE": "1",
    }
    command = [str(pathlib.Path(sys.executable).parent / "litellm"), "--config", "config.yaml",
               "--host", "127.0.0.1", "--port", str(port)]
    log = open(folder / "proxy.log", "w")
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=5).read()
            return process, port
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                sys.exit("the proxy did not start; see " + str(folder / "proxy.log"))
            time.sleep(0.2)


def main():
    folder = pathlib.Path(sys.argv[1])
    process, port = start(folder, *sys.argv[2:5])
    print("ready", flush=True)
    made = 0
    try:
        for line in sys.stdin:
            count = int(line.split()[1])
            with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(lambda number: call(port, number), range(made, made + count)))
            made += count
            print(f"made {count}", flush=True)
    finally:
        process.terminate()
        process.wait()


main()
