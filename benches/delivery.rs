//! The CPU time of the egress guard, of the signature and of the encryption, for one delivery: `cargo bench --bench delivery`.
//!
//! The egress guard takes a few microseconds: it checks the URL and each address. The time of the signature grows with
//! the body, which is hashed three times for each master: once for v1 and twice for v1a.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use mcp_scheduler::delivery::SigningSecrets;
use mcp_scheduler::domain::{ClientId, EndpointPolicy, Signatures, Timestamp, Verdict, classify};
use mcp_scheduler::store::{EncryptionKeys, Sealer};
use mcp_scheduler::time::SystemEntropy;

fn main() {
    divan::main();
}

const ENDPOINTS: [&str; 3] =
    ["https://example.com/hook", "https://[2606:4700:4700::1111]:8443/hook?a=b", "https://ⓔⓧⓐⓜⓟⓛⓔ.com/hook"];

/// The check of the URL. A delivery runs it once, also on an idle connection.
#[divan::bench(args = ENDPOINTS)]
fn check_a_url(bencher: divan::Bencher<'_, '_>, endpoint: &str) {
    let policy = EndpointPolicy { own_hosts: vec!["app.azurewebsites.net".to_owned()], ..EndpointPolicy::default() };
    bencher.bench_local(|| policy.check_url(black_box(endpoint)).is_ok());
}

/// The check of the addresses of a name. A delivery runs it for a new connection.
#[divan::bench]
fn check_four_addresses(bencher: divan::Bencher<'_, '_>) {
    let addresses = ["93.184.215.14", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450::1"];
    let addresses = addresses.map(|address| address.parse::<IpAddr>().unwrap_or(IpAddr::from([0; 4])));
    bencher.bench_local(|| black_box(&addresses).iter().all(|address| classify(*address) == Verdict::Allowed));
}

fn masters() -> Option<SigningSecrets> {
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse().ok()
}

/// The derivation of a client's keys from one master. A delivery finds them in memory.
#[divan::bench]
fn derive_keys(bencher: divan::Bencher<'_, '_>) {
    let (Some(masters), client) = (masters(), ClientId::local()) else { return };
    bencher.bench_local(|| masters.derive(black_box(&client)));
}

/// The two signatures of a body of this many bytes, with one master.
#[divan::bench(args = [0, 300, 4096, 196_608])]
fn sign(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    let Some(keys) = masters().map(|masters| masters.derive(&ClientId::local())) else { return };
    let (id, at, body) = ("01890000-0000-7000-8000-00000000000f", Timestamp::MIN, vec![b'x'; bytes]);
    bencher.bench_local(|| keys.sign(Signatures::default(), black_box(id), at, black_box(&body)));
}

const ROW: &str = "m~a-client~fe47253d2bff8fff7fffffffffffffd5";

fn sealer() -> Sealer {
    let keys: EncryptionKeys = format!("d1:{}", "5a".repeat(32)).parse().unwrap_or_default();
    Sealer::new(keys, Arc::new(SystemEntropy::new()))
}

/// The encryption of secrets of this many bytes. A schedule does it once.
#[divan::bench(args = [100, 300, 65_536])]
fn encrypt(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    let (sealer, secrets) = (sealer(), "x".repeat(bytes));
    bencher.bench_local(|| sealer.seal(black_box(&secrets), ROW).is_ok());
}

/// The decryption of secrets of this many bytes. A delivery does it once.
#[divan::bench(args = [100, 300, 65_536])]
fn decrypt(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    let sealer = sealer();
    let sealed = sealer.seal(&"x".repeat(bytes), ROW).unwrap_or_default();
    bencher.bench_local(|| sealer.open::<String>(black_box(&sealed), ROW).is_ok());
}
