"""A gRPC service, by the stubs that protoc makes; here those of the health service that most servers have."""

import os

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ciload import check, measure, sleep

ADDRESS = os.environ.get("GRPC_ADDRESS", "localhost:50051")

options = {
    "name": "grpc",
    "vus": 10,
    "duration": "30s",
    "thresholds": {"op_duration{name:Health/Check}": "p(95)<50", "op_failed": "rate<0.01", "checks": "rate>0.99"},
}


async def vu_start(vu):
    vu.channel = grpc.aio.insecure_channel(ADDRESS)
    vu.health = health_pb2_grpc.HealthStub(vu.channel)


async def default(vu):
    request = health_pb2.HealthCheckRequest(service="")
    async with measure("Health/Check", protocol="grpc") as operation:
        response = await vu.health.Check(request, timeout=5)
        operation.bytes_received = response.ByteSize()
    check(response, {"is serving": lambda r: r.status == health_pb2.HealthCheckResponse.SERVING})
    await sleep("20ms")


async def vu_stop(vu):
    await vu.channel.close()
