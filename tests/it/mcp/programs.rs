//! Programs that others wrote get in with nothing but the address of the service, and with a token in a header.
//!
//! The test runs once more in a network of its own, which has loopback alone: no program reaches the internet, and each
//! has the ports to which it lets the browser return.

use std::path::Path;
use std::process::Command;

use crate::support::app::{BareApi, CLIENT, KEY};
use crate::support::installed::{ROOT, installed};
use crate::support::internet;
use crate::support::service::text;

#[test]
fn programs_of_others_get_in() {
    let script =
        "ip link set lo up && exec \"$1\" --ignored --exact --nocapture mcp::programs::in_a_network_of_its_own";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .output()
        .expect("unshare is missing; install util-linux");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let hint = "this test needs user namespaces (kernel.apparmor_restrict_unprivileged_userns=0) and iproute2";
    assert!(output.status.success() && out.contains("1 passed"), "{hint}\n{out}\n{err}");
    print!("{out}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "programs_of_others_get_in runs it"]
async fn in_a_network_of_its_own() {
    let api = BareApi { documents: internet::documents().await, ..BareApi::new() }.start().await;
    let mut command = Command::new(installed("target/mcp-clients/node_modules/node/bin/node"));
    command.arg(Path::new(ROOT).join("tests/mcp-clients/check.mjs"));
    command.args([&format!("http://{}", api.address), CLIENT, KEY]);
    let status = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
    assert!(status.success(), "{status}");
}
