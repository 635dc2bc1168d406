//! Host names, as this machine is configured: its hosts file and its name servers.
//!
//! The resolver of the operating system occupies a thread for each look-up and cannot be stopped, so names that are never
//! answered would hold up all others. This one costs a socket for each look-up, and ends with the future that asked.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use tokio::time::Instant;

use crate::sync::lock;

/// Looks up host names. It reads the configuration again after it has changed.
pub(super) struct SystemResolver {
    files: Files,
    current: Mutex<Option<Checked>>,
}

/// The files with the configuration.
struct Files {
    hosts: PathBuf,
    name_servers: PathBuf,
}

/// The configuration, and the time at which it was compared with the files.
struct Checked {
    at: Instant,
    configured: Arc<Configured>,
}

/// The configuration of the machine at one time.
struct Configured {
    hosts: Hosts,
    servers: TokioResolver,
    modified: Modified,
}

/// The times at which the files were last modified.
type Modified = [Option<SystemTime>; 2];

impl Default for SystemResolver {
    fn default() -> Self {
        Self::of(Files { hosts: "/etc/hosts".into(), name_servers: "/etc/resolv.conf".into() })
    }
}

impl SystemResolver {
    /// The time for which the files are not looked at again.
    const CHECK_INTERVAL: Duration = Duration::from_secs(5);

    const fn of(files: Files) -> Self {
        Self { files, current: Mutex::new(None) }
    }

    /// All addresses of an absolute host name.
    ///
    /// # Errors
    /// The error of the name servers.
    pub(super) async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let configured = self.configured()?;
        configured.resolve(name).await
    }

    fn configured(&self) -> io::Result<Arc<Configured>> {
        let (mut current, at) = (lock(&self.current), Instant::now());
        if let Some(checked) = &*current
            && at - checked.at < Self::CHECK_INTERVAL
        {
            return Ok(Arc::clone(&checked.configured));
        }
        // The times are read before the files, so a change in between is noticed at the next check.
        let modified = self.files.modified();
        let configured = match current.take() {
            Some(unchanged) if unchanged.configured.modified == modified => unchanged.configured,
            _ => {
                let (config, options) = self.files.name_servers();
                Arc::new(Configured::new(self.files.hosts(), config, options, modified)?)
            }
        };
        *current = Some(Checked { at, configured: Arc::clone(&configured) });
        Ok(configured)
    }
}

impl Files {
    fn modified(&self) -> Modified {
        let of = |file| std::fs::metadata(file).and_then(|file| file.modified()).ok();
        [of(&self.hosts), of(&self.name_servers)]
    }

    fn hosts(&self) -> Hosts {
        let mut hosts = Hosts::default();
        // Without the file, or after a part that cannot be read, the name servers are asked.
        let _ = std::fs::File::open(&self.hosts).and_then(|file| hosts.read_hosts_conf(file));
        hosts
    }

    /// A machine without configuration has its name server on itself (resolv.conf(5)).
    fn name_servers(&self) -> (ResolverConfig, ResolverOpts) {
        let read = std::fs::read(&self.name_servers).map_err(NetError::from);
        read.and_then(system_conf::parse_resolv_conf).unwrap_or_else(|error| {
            tracing::warn!(%error, "the configuration of the name servers cannot be read; using 127.0.0.1");
            let server = NameServerConfig::udp_and_tcp(IpAddr::from([127, 0, 0, 1]));
            (ResolverConfig::from_name_servers(vec![server]), ResolverOpts::default())
        })
    }
}

impl Configured {
    /// The longest time that one name server has for an answer. A look-up has 5 s for all of its tries.
    const TRY_TIMEOUT: Duration = Duration::from_secs(2);
    /// The longest time that an address is remembered: about as long as a connection is used.
    const MAX_TTL: Duration = Duration::from_mins(1);
    /// The longest time that the absence of a name is remembered: as long as the shortest pause between two attempts.
    const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(5);

    fn new(hosts: Hosts, config: ResolverConfig, mut options: ResolverOpts, modified: Modified) -> io::Result<Self> {
        options.timeout = options.timeout.min(Self::TRY_TIMEOUT);
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never;
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        options.positive_max_ttl = Some(Self::MAX_TTL);
        options.negative_max_ttl = Some(Self::MAX_NEGATIVE_TTL);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        Ok(Self { hosts, servers: builder.build().map_err(io_error)?, modified })
    }

    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut name = Name::from_ascii(name).map_err(io::Error::other)?;
        // No search domain is tried for an absolute name.
        name.set_fqdn(true);
        let listed = self.listed(&name);
        if !listed.is_empty() {
            return Ok(listed);
        }
        Ok(self.servers.lookup_ip(name).await.map_err(io_error)?.iter().collect())
    }

    /// The addresses in the hosts file. The name servers are not asked for the name of this machine or its containers,
    /// also if they are out of reach.
    fn listed(&self, name: &Name) -> Vec<IpAddr> {
        let of = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let lookups = [of(RecordType::A), of(RecordType::AAAA)];
        let records = lookups.iter().flatten().flat_map(Lookup::answers);
        records.filter_map(|record| record.data.ip_addr()).collect()
    }
}

fn io_error(error: NetError) -> io::Error {
    match error {
        NetError::Io(error) => match error.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(error.kind(), error.to_string()),
        },
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use futures_util::future::{join_all, select_all};
    use hickory_resolver::config::ConnectionConfig;
    use tokio::net::UdpSocket;

    use super::*;

    /// A name server that has one address for each name that begins with `good`, no address for names that begin with
    /// `gone`, and never answers otherwise.
    async fn name_server() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut query = [0; 1500];
            loop {
                let (length, peer) = socket.recv_from(&mut query).await.unwrap();
                if let Some(response) = response(&query[..length]) {
                    socket.send_to(&response, peer).await.unwrap();
                }
            }
        });
        address
    }

    fn response(query: &[u8]) -> Option<Vec<u8>> {
        let name_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
        let is_a = query[name_end..name_end + 2] == [0, 1];
        let (good, gone) = (query[13..].starts_with(b"good"), query[13..].starts_with(b"gone"));
        if !good && !gone {
            return None;
        }
        let (code, answers) = if gone { (3, 0) } else { (0, u8::from(is_a)) };
        let mut response = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0];
        response.extend(&query[12..name_end + 4]);
        if answers == 1 {
            response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7]);
        }
        Some(response)
    }

    async fn configured(hosts: &str) -> Configured {
        let address = name_server().await;
        let mut connection = ConnectionConfig::udp();
        connection.port = address.port();
        let server = NameServerConfig::new(address.ip(), true, vec![connection]);
        let mut config = ResolverConfig::from_name_servers(vec![server]);
        config.add_search(Name::from_ascii("good.search.example.").unwrap());
        let mut listed = Hosts::default();
        listed.read_hosts_conf(hosts.as_bytes()).unwrap();
        Configured::new(listed, config, ResolverOpts::default(), [None; 2]).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn names_are_looked_up_in_the_hosts_file_and_then_at_the_name_servers() {
        let configured = configured("198.51.100.9 listed.example silent-too # and more\n::1 listed.example").await;
        let listed = configured.resolve("listed.example.").await.unwrap();
        assert_eq!(listed, [ip("198.51.100.9"), ip("::1")]);
        assert_eq!(configured.resolve("silent-too").await.unwrap(), [ip("198.51.100.9")], "no server was asked");
        assert_eq!(configured.resolve("good.example.").await.unwrap(), [ip("203.0.113.7")]);
        assert_eq!(configured.resolve("good.example").await.unwrap(), [ip("203.0.113.7")]);
        assert!(configured.resolve("gone.example.").await.is_err());
        assert!(configured.resolve("gone").await.is_err(), "no search domain is tried");
    }

    #[tokio::test]
    async fn names_that_are_never_answered_hold_up_no_other_and_end_with_their_future() {
        let configured = configured("").await;
        let silent: Vec<_> = (0..300).map(|number| format!("silent-{number}.example.")).collect();
        let silent = select_all(silent.iter().map(|name| Box::pin(configured.resolve(name))));
        let good = async {
            // The others have begun.
            tokio::task::yield_now().await;
            let names: Vec<_> = (0..100).map(|number| format!("good-{number}.example.")).collect();
            join_all(names.iter().map(|name| configured.resolve(name))).await
        };
        // If the silent names held up the others, one of them would end first.
        tokio::select! {
            biased;
            (result, ..) = silent => panic!("{result:?}"),
            good = good => assert!(good.into_iter().all(|found| found.unwrap() == [ip("203.0.113.7")])),
        }
    }

    /// Replaces a file, as an administrator does.
    fn write(file: &PathBuf, text: &str, second: u64) {
        std::fs::write(file, text).unwrap();
        let file = std::fs::File::options().append(true).open(file).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(second)).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_used_without_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let [hosts, name_servers] = ["hosts", "resolv.conf"].map(|name| dir.path().join(name));
        write(&hosts, "198.51.100.1 listed.example", 1);
        write(&name_servers, "nameserver 198.51.100.53", 1);
        let files = Files { hosts: hosts.clone(), name_servers: name_servers.clone() };
        let resolver = SystemResolver::of(files);
        assert_eq!(resolver.resolve("listed.example.").await.unwrap(), [ip("198.51.100.1")]);
        write(&hosts, "198.51.100.2 listed.example", 2);
        assert_eq!(resolver.resolve("listed.example.").await.unwrap(), [ip("198.51.100.1")], "within the interval");
        tokio::time::advance(SystemResolver::CHECK_INTERVAL).await;
        assert_eq!(resolver.resolve("listed.example.").await.unwrap(), [ip("198.51.100.2")]);

        let before = resolver.configured().unwrap();
        tokio::time::advance(SystemResolver::CHECK_INTERVAL).await;
        assert!(Arc::ptr_eq(&before, &resolver.configured().unwrap()), "what has been remembered of names is kept");
        write(&name_servers, "nameserver 198.51.100.54", 2);
        tokio::time::advance(SystemResolver::CHECK_INTERVAL).await;
        assert!(!Arc::ptr_eq(&before, &resolver.configured().unwrap()));
    }

    #[test]
    fn the_name_servers_are_those_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("resolv.conf");
        let files = Files { hosts: dir.path().join("hosts"), name_servers: file.clone() };
        let servers =
            || -> Vec<IpAddr> { files.name_servers().0.name_servers().iter().map(|server| server.ip).collect() };
        assert_eq!(servers(), [ip("127.0.0.1")], "there is no file");
        write(&file, "search example\nnameserver 198.51.100.53\nnameserver 2001:db8::53\n", 1);
        assert_eq!(servers(), [ip("198.51.100.53"), ip("2001:db8::53")]);
        write(&file, "# no name server", 2);
        assert_eq!(servers(), [ip("127.0.0.1")]);
    }

    #[tokio::test]
    async fn the_configuration_of_this_machine_knows_localhost() {
        let resolver = SystemResolver::default();
        for _ in 0..2 {
            assert!(resolver.resolve("localhost.").await.unwrap().contains(&ip("127.0.0.1")));
        }
    }
}
