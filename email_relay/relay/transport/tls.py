"""The TLS context of a configuration: verified, at least TLS 1.2, unless the operator asked for less."""

from __future__ import annotations

import ssl

from email_relay.exceptions import ConfigurationError
from email_relay.relay.transport.config import SmtpConfig

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def tls_context(config: SmtpConfig) -> ssl.SSLContext:
    """Raises `ConfigurationError` for files that cannot be read."""
    try:
        context = ssl.create_default_context(cafile=config.tls_ca_file)
        if config.ssl_certfile:
            context.load_cert_chain(config.ssl_certfile, config.ssl_keyfile)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError("SMTP_TLS_CA_FILE or EMAIL_SSL_CERTFILE/KEYFILE cannot be read.") from error
    context.minimum_version = _VERSIONS[config.tls_minimum_version]
    if not config.tls_verify or (config.tls_opportunistic and not (config.use_tls or config.use_ssl)):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
