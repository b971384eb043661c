"""A causeway apiserver of its own for a test, and a kubelet that only has logs."""
import http.server
import os
import shutil
import subprocess
import tempfile
import threading
import time


class ApiServer:
    """The real program on a free port of loopback, its data in a directory that goes with it."""

    def __init__(self, program, data=None):
        self.program = program
        self.own = data is None
        self.data = data or tempfile.mkdtemp(prefix="cw-api-")
        os.makedirs(self.data, exist_ok=True)
        self.kubeconfig = os.path.join(self.data, "admin.kubeconfig")
        self.process = None
        self.start()

    def start(self):
        if os.path.exists(self.kubeconfig):
            os.remove(self.kubeconfig)  # it is written again when the server is ready
        self.log = open(os.path.join(self.data, "log"), "ab")
        self.process = subprocess.Popen([self.program, "apiserver", "--data", self.data, "--listen", "127.0.0.1:0"],
                                        stdout=self.log, stderr=self.log)
        for _ in range(600):
            if os.path.exists(self.kubeconfig):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("the API server did not start:\n" + open(self.log.name, errors="replace").read())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        if self.own:
            shutil.rmtree(self.data, ignore_errors=True)


class Kubelet:
    """Serves /containerLogs: three lines, and with follow two more when asked to go on."""

    def __init__(self):
        self.asked = []
        self.go_on = threading.Event()
        kubelet = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                kubelet.asked.append(self.path)
                follow = "follow=true" in self.path
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.chunk(b"three\n" if "tailLines=1" in self.path else b"one\ntwo\nthree\n")
                if follow:
                    kubelet.go_on.wait(30)
                    self.chunk(b"four\n")
                    self.chunk(b"five\n")
                self.wfile.write(b"0\r\n\r\n")

            def chunk(self, data):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.go_on.set()
        self.server.shutdown()
