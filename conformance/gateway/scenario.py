"""Services reached through the gateway by clients that know nothing of it: curl, httpx, websockets and grpcio, unmodified."""

import asyncio
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ["NO_PROXY"] = "*"

import grpc
import httpx
import websockets
from tap import check, equal, finish, later, skip

GATEWAY = os.environ["SWITCHBOARD_GATEWAY_URL"]
AUTHORITY = GATEWAY.removeprefix("http://")
native = httpx.Client(base_url=os.environ["SWITCHBOARD_URL"], timeout=15, trust_env=False)
client = httpx.Client(base_url=GATEWAY, timeout=30, trust_env=False)


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def body(self):
        """The body's length and digest, read a part at a time."""
        length, digest = 0, hashlib.sha256()
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                part = self.rfile.read(size)
                length, _ = length + len(part), digest.update(part)
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers.get("content-length", 0))
            while left > 0:
                part = self.rfile.read(min(left, 1 << 20))
                left, length = left - len(part), length + len(part)
                digest.update(part)
        return f"{length} {digest.hexdigest()}"

    def do_GET(self):
        said = f"{self.command} {self.path} {self.headers.get('x-forwarded-prefix')} {self.body()}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve():
    server = Server(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def register(service, port, instance=None):
    body = {"service": service, "id": instance or f"{service}-1", "host": "127.0.0.1", "port": port}
    equal(native.post("/v1/register", json=body).status_code, 200, f"register {service}")


def eventually(holds, what):
    until = time.monotonic() + 30
    while not holds():
        if time.monotonic() > until:
            raise AssertionError(f"{what} within 30 s")
        time.sleep(0.01)


def reachable(service):
    eventually(lambda: client.get(f"/{service}/").status_code != 404, f"{service} is not routed to")


def names():
    equal(client.get("/user-service/users/7").status_code, 404, "before it is registered")
    register("user-service", serve().server_port)
    reachable("user-service")
    for path, expected in [("/user-service/users/7?x=1", "/users/7?x=1"), ("/USER-SERVICE/a%2Fb", "/a%2Fb"), ("/user-service", "/")]:
        equal(client.get(path).text.split()[1], expected, path)
    equal(client.get("/user-service/x").text.split()[2], "/user-service", "X-Forwarded-Prefix")
    refused = client.get("/nobody/x")
    equal((refused.status_code, refused.json()["code"]), (404, "no_service"), "unknown")
    for method in ["POST", "PUT", "DELETE"]:
        equal(client.request(method, "/user-service/x").text.split()[0], method, method)
    head = client.head("/user-service/x")
    equal((head.status_code, head.content, int(head.headers["content-length"]) > 0), (200, b"", True), "HEAD")


def bodies():
    parts = [bytes([i % 251]) * 100_000 for i in range(300)]
    digest = hashlib.sha256(b"".join(parts)).hexdigest()
    for what, content in [("with a length", b"".join(parts)), ("chunked", iter(parts))]:
        answer = client.post("/user-service/upload", content=content)
        equal(answer.text.split()[3:], ["30000000", digest], f"a body of 30 MB {what}")


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", "--max-time", "30", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def by_curl():
    url = f"{GATEWAY}/user-service/x"
    code = ("-o", "/dev/null", "-w", "%{http_code} %{http_version}")
    equal(curl(*code, url), "200 1.1", "HTTP/1.1")
    equal(curl(*code, "--http1.0", url)[:3], "200", "HTTP/1.0")
    equal(curl(*code, "--http2-prior-knowledge", url), "200 2", "h2c")
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x" * 5_000_000)
        file.flush()
        said = curl("-T", file.name, "-H", "Expect: 100-continue", url)
        equal(said.split()[3], "5000000", "upload with Expect")
        said = curl("--http2-prior-knowledge", "-T", file.name, url)
        equal(said.split()[3], "5000000", "upload over h2c")
    equal(curl(*code, "--path-as-is", f"{GATEWAY}/user-service/../x")[:3], "400", "dots")


def huge():
    """A gigabyte that nobody may hold."""
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(1 << 30)
        equal(curl("--max-time", "500", "-T", file.name, f"{GATEWAY}/user-service/x").split()[3], str(1 << 30), "1 GB")


def web_sockets():
    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    def refuse(connection, request):
        return connection.respond(403, "no") if request.path == "/refuse" else None

    async def talk():
        async with websockets.serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
            register("ws", server.sockets[0].getsockname()[1])
            url = f"ws://{AUTHORITY}/ws/chat"
            for _ in range(300):
                try:
                    connection = await websockets.connect(url, proxy=None)
                    break
                except websockets.InvalidStatus:
                    await asyncio.sleep(0.05)
            else:
                raise AssertionError("it is not routed to")
            async with connection:
                for message in ["hello", b"\x00\xff" * 70_000]:
                    await connection.send(message)
                    equal(await connection.recv(), message, "echo")
                await (await connection.ping())
            equal(connection.close_code, 1000, "close code")
            try:
                await websockets.connect(f"ws://{AUTHORITY}/ws/refuse", proxy=None)
            except websockets.InvalidStatus as error:
                equal(error.response.status_code, 403, "refusal")
            else:
                raise AssertionError("it was not refused")

    asyncio.run(asyncio.wait_for(talk(), 60))


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        def unary(request, context):
            context.set_trailing_metadata((("x-end", "yes"),))
            if request == b"fail":
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked: 100 %")
            if request == b"slow":
                time.sleep(20)
            return request

        def talk(requests, context):
            for request in requests:
                yield request
            context.set_trailing_metadata((("x-end", "yes"),))

        if details.method.endswith("/Say"):
            return grpc.unary_unary_rpc_method_handler(unary)
        return grpc.stream_stream_rpc_method_handler(talk)


def by_grpc():
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # The path of gRPC has no room for a service's name, so the service says which paths are its own.
    body = {"service": "echo", "host": "127.0.0.1", "port": port, "metadata": {"gateway.path": "/pkg.Echo/**"}}
    equal(native.post("/v1/register", json=body).status_code, 200, "register")
    channel = grpc.insecure_channel(AUTHORITY, options=[("grpc.enable_http_proxy", 0)])
    say = channel.unary_unary("/pkg.Echo/Say")
    eventually(lambda: client.get("/pkg.Echo/Say").status_code != 404, "it is not routed to")
    answer, call = say.with_call(b"hello", timeout=30)
    equal((answer, dict(call.trailing_metadata())["x-end"]), (b"hello", "yes"), "unary")
    large = b"x" * 3_000_000
    equal(say(large, timeout=30), large, "3 MB")

    def fails(call, code, what):
        try:
            call()
        except grpc.RpcError as error:
            equal(error.code(), code, what)
            return error.details()
        raise AssertionError(f"{what}: it succeeded")

    said = fails(lambda: say(b"fail", timeout=30), grpc.StatusCode.FAILED_PRECONDITION, "an error")
    equal(said, "as asked: 100 %", "its message")
    fails(lambda: say(b"slow", timeout=0.3), grpc.StatusCode.DEADLINE_EXCEEDED, "a deadline")
    nobody = channel.unary_unary("/pkg.Nobody/Say")
    fails(lambda: nobody(b"x", timeout=30), grpc.StatusCode.UNIMPLEMENTED, "an unknown service")

    talk = channel.stream_stream("/pkg.Echo/Talk")
    heard, turn = [], threading.Semaphore(1)

    def messages():
        for i in range(20):
            # The next is not said before the last was heard.
            if not turn.acquire(timeout=30):
                return
            yield b"%d" % i

    call = talk(messages(), timeout=60)
    for message in call:
        heard.append(int(message))
        turn.release()
    equal(heard, list(range(20)), "both ways")
    equal(dict(call.trailing_metadata())["x-end"], "yes", "trailers of a stream")
    channel.close()
    server.stop(0)


def dying():
    """One of ten processes is killed under load; no request fails."""
    program = "import scenario; s = scenario.serve(); print(s.server_port, flush=True); scenario.time.sleep(600)"
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__) + ":" + os.environ.get("PYTHONPATH", "")}
    running = []
    try:
        for i in range(10):
            process = subprocess.Popen([sys.executable, "-B", "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
            running.append(process)
        for i, process in enumerate(running):
            register("ten", int(process.stdout.readline()), f"ten-{i}")
        reachable("ten")
        stop, failed, count = threading.Event(), [], [0]

        def load():
            with httpx.Client(base_url=GATEWAY, timeout=30, trust_env=False) as own:
                while not stop.is_set():
                    status = own.get("/ten/x").status_code
                    count[0] += 1
                    if status != 200:
                        failed.append(status)

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        eventually(lambda: count[0] > 300, "there is no load")
        running[3].kill()
        before = count[0]
        eventually(lambda: count[0] > before + 500, "the load ended")
        stop.set()
        for thread in threads:
            thread.join()
        equal(failed, [], f"failed of {count[0]}")
    finally:
        for process in running:
            process.kill()
            process.wait()


def main():
    check("services are reached by their names", names)
    check("bodies arrive whole", bodies)
    if shutil.which("curl"):
        check("curl over every version", by_curl)
        if os.environ.get("SWITCHBOARD_CONFORMANCE_FULL"):
            check("a body of 1 GB", huge)
        else:
            later("a body of 1 GB")
    else:
        skip("curl over every version", "curl is not installed")
    check("WebSockets", web_sockets)
    check("gRPC", by_grpc)
    check("an instance that is killed under load", dying)
    finish()


if __name__ == "__main__":
    main()
