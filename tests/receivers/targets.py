"""Receivers that read deliveries with the official libraries: an A2A agent, and a reader of CloudEvents."""

import socket

import uvicorn
from a2a.helpers import new_text_message
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


class Echo(AgentExecutor):
    """Answers with the id and the text of the message."""

    async def execute(self, context, event_queue):
        answer = f"{context.message.message_id} said: {context.get_user_input()}"
        await event_queue.enqueue_event(new_text_message(answer, context_id=context.context_id))

    async def cancel(self, context, event_queue):
        raise NotImplementedError


async def cloud_event(request):
    content_type = request.headers["content-type"]
    event = from_http_event(HTTPMessage(headers=dict(request.headers), body=await request.body()))
    attributes = {name: str(value) for name, value in event.get_attributes().items()}
    return JSONResponse({"contentType": content_type, "attributes": attributes, "data": event.get_data()})


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    card = AgentCard(
        name="echo",
        description="Answers with the text that it got.",
        version="1.0.0",
        capabilities=AgentCapabilities(),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="echo", name="echo", description="Answers with the text that it got.", tags=["test"])],
        supported_interfaces=[
            AgentInterface(url=f"{url}/a2a", protocol_binding="JSONRPC", protocol_version="1.0")
        ],
    )
    handler = DefaultRequestHandler(agent_executor=Echo(), task_store=InMemoryTaskStore(), agent_card=card)
    routes = [*create_jsonrpc_routes(handler, "/a2a"), Route("/cloudevents", cloud_event, methods=["POST"])]
    print(f"listening on {url}", flush=True)
    uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
