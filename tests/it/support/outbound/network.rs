//! A scripted network that records its look-ups and connections.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use async_trait::async_trait;
use mcp_scheduler::outbound::{Dialer, Resolver, SystemNetwork};
use tokio::net::TcpStream;

/// A network whose names have scripted addresses. All connections can lead to one listener on this machine.
#[derive(Default)]
pub struct ScriptedNetwork {
    names: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    /// The number of the system's error with which every look-up fails.
    look_ups_fail_with: Option<i32>,
    leads_to: Option<SocketAddr>,
    pretends_to_be: Option<SocketAddr>,
    lookups: Mutex<Vec<String>>,
    connects: Mutex<Vec<SocketAddr>>,
}

impl ScriptedNetwork {
    /// A network whose connections go to their real address.
    pub fn new() -> Self {
        Self::default()
    }

    /// A network whose connections all lead to this listener.
    pub fn leading_to(listener: SocketAddr) -> Self {
        Self { leads_to: Some(listener), ..Self::default() }
    }

    /// Reports this address as the peer of every connection.
    pub fn pretending_to_be(self, peer: SocketAddr) -> Self {
        Self { pretends_to_be: Some(peer), ..self }
    }

    /// Lets every look-up fail with this number of an error of the system.
    pub fn failing_look_ups(error: i32) -> Self {
        Self { look_ups_fail_with: Some(error), ..Self::default() }
    }

    /// Sets the addresses of a name for each look-up; the last ones are used again.
    pub fn name(self, name: &str, answers: &[&[&str]]) -> Self {
        let answers = answers.iter().map(|list| list.iter().map(|a| a.parse().unwrap()).collect()).collect();
        self.names.lock().unwrap().insert(name.trim_end_matches('.').to_owned(), answers);
        self
    }

    pub fn lookups(&self) -> Vec<String> {
        self.lookups.lock().unwrap().clone()
    }

    pub fn connects(&self) -> Vec<SocketAddr> {
        self.connects.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolver for ScriptedNetwork {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.lookups.lock().unwrap().push(name.to_owned());
        if let Some(error) = self.look_ups_fail_with {
            return Err(io::Error::from_raw_os_error(error));
        }
        let mut names = self.names.lock().unwrap();
        let Some(answers) = names.get_mut(name.trim_end_matches('.')) else {
            return Err(io::Error::other("no such name"));
        };
        let last = answers.len() <= 1;
        Ok(if last { answers.front().cloned() } else { answers.pop_front() }.unwrap_or_default())
    }
}

#[async_trait]
impl Dialer for ScriptedNetwork {
    async fn connect(&self, address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
        self.connects.lock().unwrap().push(address);
        let (stream, peer) = SystemNetwork::default().connect(self.leads_to.unwrap_or(address)).await?;
        let seen = if self.leads_to.is_some() { address } else { peer };
        Ok((stream, self.pretends_to_be.unwrap_or(seen)))
    }
}
