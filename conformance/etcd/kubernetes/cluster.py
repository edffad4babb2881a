"""A kube-apiserver on a store: this registry or a real etcd; each is started, killed and started again on the same data."""

import contextlib
import http.client
import json
import os
import queue
import shutil
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
from ports import free_port, free_ports

# The apiserver makes itself a certificate that nobody signed.
urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

PATIENCE = 120
TOKEN = "administrator"
MERGE, STRATEGIC, PATCH, APPLY = (f"application/{kind}" for kind in ("merge-patch+json", "strategic-merge-patch+json", "json-patch+json", "apply-patch+yaml"))


def waited_for(what, seen, patience=PATIENCE):
    """The first true answer of `seen`."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        found = seen()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {patience} s")


class Process:
    """A server that is started, killed, and started again with the same words."""

    def __init__(self, folder, name, words):
        self.log, self.words, self.child = folder / f"{name}.log", words, None

    def start(self, *more):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SWITCHBOARD_", "ETCD_"))}
        with self.log.open("a") as log:
            command = ["setpriv", "--pdeathsig", "KILL", "--", *map(str, self.words), *map(str, more)]
            self.child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        self.child.terminate()
        self.child.wait(timeout=PATIENCE)

    def used(self):
        """Seconds of processors, and megabytes now and at most."""
        stat = open(f"/proc/{self.child.pid}/stat").read().rsplit(")", 1)[1].split()
        status = open(f"/proc/{self.child.pid}/status").read()
        megabytes = [int(status.split(f"{field}:")[1].split()[0]) // 1024 for field in ("VmRSS", "VmHWM")]
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), *megabytes


def registry(folder):
    port = free_port()
    words = [os.environ["SWITCHBOARD_BINARY"], "serve", "--only", "etcd", "--listen", f"etcd=127.0.0.1:{port}", "--data-dir", folder / "data"]
    return Process(folder, "registry", words), port


def real(program, folder):
    port, peers = free_ports(2)
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peers}"
    words = [program, "--data-dir", folder / "data", "--log-level", "error", "--listen-client-urls", client, "--advertise-client-urls", client]
    words += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
    return Process(folder, "etcd", words), port


class Cluster:
    def __init__(self, program, store, port, folder):
        self.store, self.store_url, self.folder = store, f"http://127.0.0.1:{port}", folder
        key = folder / "key.pem"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        self.port = free_port()
        words = [program, f"--etcd-servers={self.store_url}", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={self.port}"]
        words += [f"--cert-dir={folder}", f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"]
        words += ["--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16"]
        words += [f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC", "--endpoint-reconciler-type=none"]
        words += ["--disable-admission-plugins=ServiceAccount", "--event-ttl=5s"]
        words += ["--etcd-count-metric-poll-period=1s", "--etcd-db-metric-poll-interval=1s", "--v=1"]
        self.server = Process(folder, "kube-apiserver", words)
        self.api = Api(f"https://127.0.0.1:{self.port}")
        # How the store is asked for its health.
        self.http = {}

    def another(self):
        """A second apiserver on the same store, started."""
        folder = self.folder / "another"
        folder.mkdir()
        other = Cluster(self.server.words[0], self.store, urlsplit(self.store_url).port, folder)
        # What one has signed the other believes.
        other.server.words = [str(word).replace(str(folder / "key.pem"), str(self.folder / "key.pem")) for word in other.server.words]
        other.start_server()
        return other

    def start_store(self):
        self.store.start()
        waited_for("the store", lambda: self.store_answers())

    def store_answers(self):
        if self.store.child.poll() is not None:
            raise AssertionError(f"the store ended: {self.store.log.read_text()[-500:]}")
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.store_url}/health", timeout=5, **self.http).json()["health"] == "true"

    def start_server(self, *more):
        self.server.start(*more)
        self.wait_until_ready()

    def wait_until_ready(self):
        def ready():
            if self.server.child.poll() is not None:
                raise AssertionError(f"kube-apiserver ended: {self.server.log.read_text()[-500:]}")
            with contextlib.suppress(requests.RequestException):
                return self.api.raw("GET", "/readyz").status_code == 200

        waited_for("kube-apiserver is ready", ready)

    def end(self):
        for process in (self.server, self.store):
            if process.child:
                process.kill()
        shutil.rmtree(self.folder / "data", ignore_errors=True)


class Api:
    def __init__(self, url):
        self.url, self.local = url, threading.local()
        # What the names of namespaces end in: each run of a scenario has its own.
        self.mark = ""

    def session(self):
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
            self.local.session.trust_env = False
            self.local.session.verify = False
            self.local.session.headers["Authorization"] = f"Bearer {TOKEN}"
        return self.local.session

    def raw(self, method, path, body=None, kind="application/json", accept="application/json", patience=PATIENCE, **params):
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind, "Accept": accept}
        return self.session().request(method, self.url + path, data=data, headers=headers, params=params, timeout=patience)

    def call(self, method, path, body=None, **more):
        answer = self.raw(method, path, body, **more)
        return answer.status_code, answer.json()

    def done(self, method, path, body=None, **more):
        """The answer, which has to be a good one."""
        status, answer = self.call(method, path, body, **more)
        if status >= 300:
            raise AssertionError(f"{method} {path}: {status} {answer.get('message', answer)}")
        return answer

    def get(self, path, **params):
        return self.done("GET", path, **params)

    def post(self, path, body, **params):
        return self.done("POST", path, body, **params)

    def at_once(self, function, items, width=8):
        """`function` for each, some of them at the same time; the results in order."""
        with ThreadPoolExecutor(width) as pool:
            return list(pool.map(function, items))

    def metric(self, name, **labels):
        """The sum of what is counted under the name with these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = self.raw("GET", "/metrics").text.splitlines()
        ours = [line for line in lines if line.startswith((f"{name}{{", f"{name} ")) and all(label in line for label in wanted)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in ours)

    def watch(self, path, **params):
        return Watch(self, path, params)


class Watch:
    """The events of a watch, as they come."""

    def __init__(self, api, path, params):
        self.events = queue.Queue()
        self.connection = http.client.HTTPSConnection(urlsplit(api.url).netloc, context=ssl._create_unverified_context(), timeout=600)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self.connection.request("GET", f"{path}?{urlencode({'watch': 'true', **params})}", headers=headers)
        self.answer = self.connection.getresponse()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            for line in self.answer:
                self.events.put(json.loads(line))
        self.events.put(None)

    def next(self, patience=PATIENCE):
        """None: it is over."""
        return self.events.get(timeout=patience)

    def take(self, count):
        return [self.next() for _ in range(count)]

    def until(self, last):
        """Everything up to the first event for which `last` holds."""
        found = []
        while not found or not last(found[-1]):
            event = self.next()
            if event is None:
                raise AssertionError(f"the watch ended after {found[-1:]}")
            found.append(event)
        return found

    def until_end(self):
        return list(iter(self.next, None))

    def close(self):
        # Closing it properly would wait for the thread that reads.
        with contextlib.suppress(OSError):
            self.connection.sock.shutdown(socket.SHUT_RDWR)
