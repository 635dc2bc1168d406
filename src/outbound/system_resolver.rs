//! Host names, as this machine is configured: its hosts file and its name servers.
//!
//! The resolver of the operating system occupies a thread for each look-up and cannot be stopped, so names that are never
//! answered would hold up all others. This one costs a socket for each look-up, and ends with the future that asked.

use std::io;
use std::net::IpAddr;
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
#[derive(Default)]
pub(super) struct SystemResolver(Mutex<Option<Checked>>);

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

impl SystemResolver {
    const FILES: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];
    /// The time for which the files are not looked at again.
    const CHECK_INTERVAL: Duration = Duration::from_secs(5);

    /// All addresses of an absolute host name.
    ///
    /// # Errors
    /// The error of the name servers.
    pub(super) async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let configured = self.configured()?;
        configured.resolve(name).await
    }

    fn configured(&self) -> io::Result<Arc<Configured>> {
        let (mut current, at) = (lock(&self.0), Instant::now());
        if let Some(checked) = &*current
            && at - checked.at < Self::CHECK_INTERVAL
        {
            return Ok(Arc::clone(&checked.configured));
        }
        let modified = Self::FILES.map(|file| std::fs::metadata(file).and_then(|file| file.modified()).ok());
        let configured = match current.take() {
            Some(unchanged) if unchanged.configured.modified == modified => unchanged.configured,
            _ => Arc::new(Configured::read(modified)?),
        };
        *current = Some(Checked { at, configured: Arc::clone(&configured) });
        Ok(configured)
    }
}

impl Configured {
    /// The longest time that one name server has for an answer. A look-up has 5 s for all of its tries.
    const TRY_TIMEOUT: Duration = Duration::from_secs(2);
    /// The longest time that an address is remembered: about as long as a connection is used.
    const MAX_TTL: Duration = Duration::from_mins(1);
    /// The longest time that the absence of a name is remembered: as long as the shortest pause between two attempts.
    const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(5);

    fn read(modified: Modified) -> io::Result<Self> {
        // A machine without configuration has its name server on itself (resolv.conf(5)).
        let (config, options) = system_conf::read_system_conf().unwrap_or_else(|error| {
            tracing::warn!(%error, "the configuration of the name servers cannot be read; using 127.0.0.1");
            let server = NameServerConfig::udp_and_tcp(IpAddr::from([127, 0, 0, 1]));
            (ResolverConfig::from_name_servers(vec![server]), ResolverOpts::default())
        });
        Self::new(Hosts::from_system().unwrap_or_default(), config, options, modified)
    }

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
        let began = Instant::now();
        tokio::select! {
            biased;
            (result, ..) = silent => panic!("{result:?}"),
            good = good => assert!(good.into_iter().all(|found| found.unwrap() == [ip("203.0.113.7")])),
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn the_configuration_of_this_machine_knows_localhost() {
        let resolver = SystemResolver::default();
        for _ in 0..2 {
            assert!(resolver.resolve("localhost.").await.unwrap().contains(&ip("127.0.0.1")));
        }
    }
}
