"""A CA bundle is what is trusted, for COTAHIST and for companies."""

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cotahist_text import Quote, cotahist, zipped
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from exchange_answers import page

from b3shared.core.errors import InvalidParameterError, SourceUnavailableError
from b3shared.quotes.corporate_actions.announcements.server import CompanyServer
from b3shared.quotes.cotahist.download import QuoteServer
from b3shared.quotes.cotahist.periods import annual

FILE = zipped(cotahist([Quote(date(2020, 1, 6))], 2020), "COTAHIST_A2020.TXT")
LIST = json.dumps(page([])).encode()


def certificate(folder: Path) -> Path:
    """A PEM file with a key and a certificate of its own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = FILE if self.path.endswith(".ZIP") else LIST
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Root address of a TLS server, and the bundle with its certificate."""
    bundle = certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}", bundle
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_bundle_makes_a_server_trusted(secure: tuple[str, Path], tmp_path: Path) -> None:
    address, bundle = secure
    companies = CompanyServer(f"{address}/{{call}}/{{query}}", 1000.0, str(bundle))
    assert companies.companies() == []
    quotes = QuoteServer(f"{address}/{{period}}.ZIP", ca_bundle=str(bundle))
    assert quotes.download(annual(2020), tmp_path).read_bytes() == FILE


def test_without_it_the_server_is_refused_at_once(secure: tuple[str, Path], tmp_path: Path) -> None:
    address, _ = secure
    with pytest.raises(SourceUnavailableError, match=r"no trusted connection.*B3_CA_BUNDLE"):
        CompanyServer(f"{address}/{{call}}/{{query}}", 1000.0).companies()
    with pytest.raises(SourceUnavailableError, match=r"no trusted connection.*B3_CA_BUNDLE"):
        QuoteServer(f"{address}/{{period}}.ZIP").download(annual(2020), tmp_path)


def test_a_bundle_that_is_none_is_named() -> None:
    with pytest.raises(InvalidParameterError, match="B3_CA_BUNDLE must be the path of a PEM file"):
        QuoteServer("https://x/{period}", ca_bundle="/nowhere/bundle.pem")
