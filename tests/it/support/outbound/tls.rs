//! Listeners that speak TLS, with certificates made for the test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A certificate authority for one test.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// The authority for clients that trust others too.
    pub fn certificate(&self) -> reqwest::Certificate {
        reqwest::Certificate::from_der(&self.certificate).unwrap()
    }

    /// What makes a server of connections, with a certificate for these hosts.
    pub fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        let mut config = self.certify(|_| (), names);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// A root store with this authority only.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }

    fn certify(&self, change: impl FnOnce(&mut CertificateParams), names: &[&str]) -> ServerConfig {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        server(certificate, &key)
    }

    /// A listener whose certificate names these hosts or addresses.
    pub async fn listener(&self, names: &[&str], answer: &str) -> TlsListener {
        TlsListener::start(self.certify(|_| (), names), answer).await
    }

    /// A listener whose certificate has expired.
    pub async fn expired_listener(&self, name: &str) -> TlsListener {
        let past = |params: &mut CertificateParams| {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        };
        TlsListener::start(self.certify(past, &[name]), "").await
    }
}

/// A listener with a self-signed certificate.
pub async fn self_signed_listener(name: &str) -> TlsListener {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    TlsListener::start(server(certificate, &key), "").await
}

fn server(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    // The listener offers HTTP/2 too.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// A TLS listener that gives every request the same answer.
pub struct TlsListener {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

/// A request, and the protocol that was negotiated for its connection.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: String,
    pub protocol: Option<Vec<u8>>,
    pub server_name: Option<String>,
}

impl TlsListener {
    async fn start(config: ServerConfig, answer: &str) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (witness, answer) = (Arc::clone(&seen), answer.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, witness, answer) = (acceptor.clone(), Arc::clone(&witness), answer.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut read = Vec::new();
                    while stream.read_buf(&mut read).await.is_ok_and(|n| n > 0) {
                        let text = String::from_utf8_lossy(&read).into_owned();
                        if !text.contains("\r\n\r\n") {
                            continue;
                        }
                        let (_, session) = stream.get_ref();
                        let server_name = session.server_name().map(str::to_owned);
                        let protocol = session.alpn_protocol().map(<[u8]>::to_vec);
                        witness.lock().unwrap().push(Seen { head: text, protocol, server_name });
                        read.clear();
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen, task }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
