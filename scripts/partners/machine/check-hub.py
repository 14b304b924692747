"""check-hub.py FOLDER ADDRESS:PORT...: what machine-check's machine talks to.

A POST to /NAME becomes the file FOLDER/NAME, a GET of /NAME is that file.
"""
import http.server
import os
import sys
import threading

FOLDER = sys.argv[1]


class Handler(http.server.BaseHTTPRequestHandler):
    def path_of(self):
        return os.path.join(FOLDER, os.path.basename(self.path))

    def answer(self, code, body=b''):
        self.send_response(code)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        try:
            with open(self.path_of(), 'rb') as file:
                self.answer(200, file.read())
        except OSError:
            self.answer(404)

    def do_POST(self):
        with open(self.path_of() + '.part', 'wb') as file:
            file.write(self.rfile.read(int(self.headers['Content-Length'])))
        os.rename(file.name, self.path_of())
        self.answer(200)

    def log_message(self, *_):
        pass


for address in sys.argv[2:]:
    host, port = address.split(':')
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    threading.Thread(target=server.serve_forever).start()
