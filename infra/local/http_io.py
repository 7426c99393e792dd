"""Request handler of two servers here: reads whole bodies, sends each answer in one packet.

``http.server`` writes headers and body separately. With Nagle's algorithm and the peer's delayed
acknowledgement that costs 40 to 160 ms per call, hence the buffered writer and TCP_NODELAY.
"""

from http.server import BaseHTTPRequestHandler


class BodyTooLargeError(Exception):
    """A request's body is larger than the server takes."""


class SinglePacketHandler(BaseHTTPRequestHandler):
    """Request handler that keeps connections, logs nothing and answers in one write."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    max_body: int | None = None
    drain_limit = 64 * 1024 * 1024

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the gateway and the workers keep their own logs."""

    def handle_expect_100(self) -> bool:
        """Answer "100 Continue" at once; buffered, it would hold curl up for a second."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def read_body(self) -> bytes:
        """Read the request's body whole, sent with a length or in chunks.

        Raises:
            BodyTooLargeError: It is larger than ``max_body``. What the peer still sends is read and
                dropped up to ``drain_limit``, so that it sees the answer and not a reset
                connection.
        """
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if self.max_body is not None and length > self.max_body:
            self.close_connection = True
            remaining = min(length, self.drain_limit)
            while remaining and (data := self.rfile.read(min(remaining, 65536))):
                remaining -= len(data)
            raise BodyTooLargeError
        return self.rfile.read(length)

    def _read_chunks(self) -> bytes:
        chunks = []
        size = 0

        while length := int(self.rfile.readline().split(b";")[0].strip() or b"0", 16):
            data = self.rfile.read(length)
            self.rfile.readline()
            size += length
            if self.max_body is None or size <= self.max_body:
                chunks.append(data)
            elif size > self.drain_limit:
                break
        else:
            while self.rfile.readline().strip():  # trailers
                pass
        if self.max_body is not None and size > self.max_body:
            self.close_connection = True
            raise BodyTooLargeError

        return b"".join(chunks)

    def reply(self, status: int, headers: list[tuple[str, str]], body: bytes = b"") -> None:
        """Send a whole answer, without a body for HEAD, 204 and 304."""
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)
        self.wfile.flush()
