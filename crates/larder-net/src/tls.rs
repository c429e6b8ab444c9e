//! What is to be known for encrypted connections, read from files when a store is built.

use std::path::PathBuf;

use larder_core::Result;

/// How connections are encrypted, and whom they trust.
///
/// ```
/// use larder_net::{Tls, TlsSettings};
///
/// let settings = TlsSettings {
///     ca: Some("/no/such/file.pem".into()),
///     ..TlsSettings::default()
/// };
/// let error = Tls::new(&settings).unwrap_err();
/// assert_eq!(error.kind(), larder_core::ErrorKind::Config);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsSettings {
    /// A PEM file with the certificates of those who may vouch for the server; the system's otherwise.
    pub ca: Option<PathBuf>,
    /// A PEM file with the certificate that is shown to the server, and those between it and whom the
    /// server trusts.
    pub cert: Option<PathBuf>,
    /// A PEM file with the key of that certificate; the file of the certificate otherwise.
    pub key: Option<PathBuf>,
    /// Whether the server has to prove who it is. Without it, whoever is between can read and change
    /// everything.
    pub verify: bool,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            ca: None,
            cert: None,
            key: None,
            verify: true,
        }
    }
}

/// Settings that were read. Cheap to clone.
#[derive(Clone)]
pub struct Tls(#[cfg(feature = "tls")] pub(crate) std::sync::Arc<rustls::ClientConfig>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`Config`](larder_core::ErrorKind::Config) for files that cannot be read or hold something else,
    /// for a system without certificates, and in a build without the feature `tls`.
    #[cfg(feature = "tls")]
    pub fn new(settings: &TlsSettings) -> Result<Self> {
        read::configuration(settings).map(|configuration| Self(std::sync::Arc::new(configuration)))
    }

    /// Refuses: this build lacks the feature `tls`.
    ///
    /// # Errors
    ///
    /// Always.
    #[cfg(not(feature = "tls"))]
    pub fn new(_: &TlsSettings) -> Result<Self> {
        Err(larder_core::Error::new(
            larder_core::ErrorKind::Config,
            "TLS is asked for, which this build cannot speak (turn the feature tls on)",
        ))
    }
}

#[cfg(feature = "tls")]
mod read {
    use std::path::Path;
    use std::sync::Arc;

    use larder_core::{Error, ErrorKind, Result};
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{self, WebPkiSupportedAlgorithms};
    use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

    use super::TlsSettings;

    pub(super) fn configuration(settings: &TlsSettings) -> Result<ClientConfig> {
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(format!("TLS cannot be set up: {error}")))?;
        let builder = if settings.verify {
            builder.with_root_certificates(roots(settings.ca.as_deref())?)
        } else {
            // A file that cannot be read is a mistake all the same.
            settings.ca.as_deref().map(certificates).transpose()?;
            let verifier = Anyone(provider.signature_verification_algorithms);
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        };
        let Some(cert) = &settings.cert else {
            return match &settings.key {
                None => Ok(builder.with_no_client_auth()),
                Some(key) => Err(wrong(format!(
                    "key is {} without a certificate (name its certificate by cert)",
                    key.display()
                ))),
            };
        };
        let file = settings.key.as_ref().unwrap_or(cert);
        let key = PrivateKeyDer::from_pem_file(file).map_err(|error| unreadable(file, &error))?;
        builder
            .with_client_auth_cert(certificates(cert)?, key)
            .map_err(|error| {
                wrong(format!(
                    "certificate {} and key {} cannot be used: {error} (name a certificate and its own \
                     key)",
                    cert.display(),
                    file.display()
                ))
            })
    }

    fn roots(ca: Option<&Path>) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let Some(file) = ca else {
            let found = rustls_native_certs::load_native_certs();
            // A system has certificates now and then that nobody can read; the others count.
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                return Err(wrong(
                    "the system has no certificates to trust (install its package of them, or name a \
                     file by ca)"
                        .into(),
                ));
            }
            return Ok(roots);
        };
        for certificate in certificates(file)? {
            roots
                .add(certificate)
                .map_err(|error| unreadable(file, &error))?;
        }
        Ok(roots)
    }

    /// The certificates in a file, at least one.
    fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
        let read = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(file, &error))?;
        let found: Result<Vec<_>, _> = read.collect();
        let found = found.map_err(|error| unreadable(file, &error))?;
        match found.is_empty() {
            true => Err(unreadable(file, &"it holds no certificate")),
            false => Ok(found),
        }
    }

    fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> Error {
        wrong(format!(
            "TLS file {} cannot be used: {error} (name a readable file in PEM format)",
            file.display()
        ))
    }

    fn wrong(detail: String) -> Error {
        Error::new(ErrorKind::Config, detail)
    }

    /// Takes everybody for the server, as `verify=no` asks for.
    #[derive(Debug)]
    struct Anyone(WebPkiSupportedAlgorithms);

    impl ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _end_entity: &CertificateDer<'_>,
            _intermediates: &[CertificateDer<'_>],
            _server_name: &ServerName<'_>,
            _ocsp_response: &[u8],
            _now: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            crypto::verify_tls12_signature(message, cert, dss, &self.0)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            crypto::verify_tls13_signature(message, cert, dss, &self.0)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.supported_schemes()
        }
    }
}
