//! A network of a test's own: this process again, where public and private addresses are hosts.
//!
//! Linux gives a process a network without any interface but its loopback device. The addresses of
//! this module are put on that device, so no packet leaves the machine, and programs treat them as
//! what they are: public, private, link-local. Names resolve by a hosts file of the test.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::peers;
use crate::process::{only, passes};

/// A public address.
pub const FAR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

/// Another public address.
pub const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 20);

/// A private address.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 2);

/// Another private address.
pub const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 3);

/// The link-local address where clouds give machines their secrets.
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

const ADDRESSES: [Ipv4Addr; 5] = [FAR, ELSEWHERE, NEAR, NEIGHBOUR, METADATA];

/// Names the test that runs in a network of its own.
const INSIDE: &str = "WHARF_TEST_NETWORK";

/// The path of the file that is `/etc/hosts` there.
const HOSTS: &str = "WHARF_TEST_HOSTS";

/// Run with the hosts file, then a program and its arguments.
const SET_UP: &str = r#"set -e
PATH="$PATH:/usr/sbin:/sbin"
for address in $ADDRESSES; do ip address add "$address/32" dev lo; done
ip link set lo up
mount --bind "$0" /etc/hosts
exec "$@""#;

/// The ways to make one: as root, or as root of a user namespace.
const WAYS: [&[&str]; 2] = [
    &["--net", "--mount"],
    &["--user", "--map-root-user", "--net", "--mount"],
];

/// For a test that needs hosts with public and private addresses.
///
/// Starts `test`, the one that calls, in another process with a network of its own and waits for its
/// success; the result is false, and the test has no more to do. In that other process the result is
/// true. Where no such network can be made, says on stderr that the test is skipped; the result is
/// false.
///
/// In the network the constants of this module are addresses of this machine, and `names` resolve as
/// they say; a name may have several addresses.
///
/// ```no_run
/// use wharf_testkit::network::{self, FAR, NEAR};
/// use wharf_testkit::{Answer, FaultServer, Script};
///
/// #[test]
/// fn a_public_server() {
///     let names = [("registry.example", FAR), ("store.example", NEAR)];
///     if !network::is_own("tests::a_public_server", &names) {
///         return;
///     }
///     let script = Script::new().on("*", "*", [Answer::status(200)]);
///     let server = FaultServer::start_on(FAR.into(), script);
/// }
/// ```
///
/// # Panics
/// When the test fails there; when `unshare` or `ip` is not installed and `WHARF_REQUIRE_PEERS` is 1.
pub fn is_own(test: &str, names: &[(&str, Ipv4Addr)]) -> bool {
    if std::env::var_os(INSIDE).is_some_and(|name| name == test) {
        return true;
    }
    let Some(way) = way() else {
        eprintln!("skipped: {test}: no network namespace can be made here");
        return false;
    };
    let directory = tempfile::tempdir().expect("create a directory for a hosts file");
    let hosts = directory.path().join("hosts");
    std::fs::write(&hosts, hosts_file(names)).expect("write a hosts file");
    let [program, arguments @ ..] = only(test);
    let mut command = unshared(way, &hosts);
    command
        .arg(program)
        .args(arguments)
        .env(INSIDE, test)
        .env(HOSTS, &hosts);
    passes(&mut command, test);
    false
}

/// Makes names of a network of its own resolve otherwise from now on; all others are unknown.
///
/// # Panics
/// When this process is not in such a network.
pub fn rename(names: &[(&str, Ipv4Addr)]) {
    let hosts = std::env::var_os(HOSTS).expect("the hosts file of a network of its own");
    std::fs::write(hosts, hosts_file(names)).expect("write the hosts file");
}

/// Whether this process is in a network of its own.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// The first way that works here.
fn way() -> Option<&'static [&'static str]> {
    static WAY: OnceLock<Option<&[&str]>> = OnceLock::new();
    *WAY.get_or_init(|| {
        for (program, package) in [("unshare", "util-linux"), ("ip", "iproute2")] {
            peers::find_in(program, package)?;
        }
        let works = |way: &&&[&str]| {
            let mut command = unshared(way, Path::new("/etc/hosts"));
            command.arg("true").stdin(Stdio::null());
            let output = command.output();
            output.is_ok_and(|output| output.status.success())
        };
        WAYS.iter().find(works).copied()
    })
}

/// Runs what is added to the command in a network of its own.
fn unshared(way: &[&str], hosts: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(way)
        .args(["sh", "-c", SET_UP])
        .arg(hosts)
        .env("ADDRESSES", ADDRESSES.map(|one| one.to_string()).join(" "));
    command
}

fn hosts_file(names: &[(&str, Ipv4Addr)]) -> String {
    let mut text = "127.0.0.1 localhost\n".to_owned();
    for (name, address) in names {
        writeln!(text, "{address} {name}").expect("text grows");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, ToSocketAddrs};

    use super::*;
    use crate::fault_server::{Answer, FaultServer, Script};
    use crate::wire::send;

    #[test]
    fn public_and_private_addresses_are_hosts_with_names() {
        let names = [
            ("far.example", FAR),
            ("both.example", FAR),
            ("both.example", NEAR),
        ];
        let test = "network::tests::public_and_private_addresses_are_hosts_with_names";
        if !is_own(test, &names) {
            return;
        }
        for address in ADDRESSES {
            let script = Script::new().on("GET", "*", [Answer::status(204)]);
            let server = FaultServer::start_on(address.into(), script);
            assert_eq!(server.address().ip(), IpAddr::V4(address));
            assert!(send(server.address(), "GET /", "", b"").starts_with("HTTP/1.1 204"));
        }
        let resolved = |name: &str| {
            let found = (name, 80).to_socket_addrs().unwrap();
            found.map(|found| found.ip()).collect::<Vec<_>>()
        };
        assert_eq!(resolved("far.example"), [FAR]);
        let mut both = resolved("both.example");
        both.sort();
        assert_eq!(both, [NEAR, FAR]);
        rename(&[("far.example", ELSEWHERE)]);
        assert_eq!(resolved("far.example"), [ELSEWHERE]);
        // No packet leaves: there is no way to any other address.
        let outside = std::net::TcpStream::connect((Ipv4Addr::new(198, 51, 100, 1), 80));
        assert_eq!(
            outside.unwrap_err().kind(),
            std::io::ErrorKind::NetworkUnreachable
        );
    }
}
