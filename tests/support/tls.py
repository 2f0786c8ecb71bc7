"""A certificate authority of the tests, and server certificates by it (or by nobody anyone trusts)."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """Makes certificates in *directory*; ``ca`` is the file to trust."""

    directory: Path

    def __post_init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        object.__setattr__(self, "key", ec.generate_private_key(ec.SECP256R1()))
        certificate = self.sign("relay test authority", self.key.public_key(), [], authority=True)
        self.ca.write_bytes(pem(certificate))

    @property
    def ca(self) -> Path:
        return Path(self.directory) / "ca.pem"

    def certificate(self, *names: str, expired: bool = False) -> tuple[Path, Path]:
        """(certificate file, key file) for host names and addresses."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        stem = Path(self.directory) / (names[0].replace("*", "any") + ("-expired" if expired else ""))
        certificate_file, key_file = stem.with_suffix(".crt.pem"), stem.with_suffix(".key.pem")
        certificate_file.write_bytes(pem(self.sign(names[0], key.public_key(), list(names), expired=expired)))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate_file, key_file

    def server_context(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*map(str, self.certificate(*(names or ("127.0.0.1", "localhost")), expired=expired)))
        return context

    def sign(self, subject: str, public_key: object, names: list, authority: bool = False, expired: bool = False):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        now = dt.datetime.now(dt.timezone.utc)
        day = dt.timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(common_name(subject))
            .issuer_name(common_name("relay test authority"))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * day)
            .not_valid_after(now - day if expired else now + 30 * day)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(general_name, names))), critical=False)
        if authority:
            builder = builder.add_extension(key_usage(), critical=True)
        return builder.sign(self.key, hashes.SHA256())


def key_usage() -> object:
    from cryptography import x509

    off = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(key_cert_sign=True, crl_sign=True, **off)


def common_name(text: str) -> object:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def general_name(name: str) -> object:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def pem(certificate: object) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)
