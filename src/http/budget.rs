//! Budgets for what callers hold: connections, and memory for request bodies.
//!
//! When a budget is used up, the oldest share of the owner that holds the most gives way. So callers that hold a share
//! without using it cannot keep others out, and one owner cannot take the shares of another.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use crate::auth::Source;
use crate::domain::ClientId;
use crate::sync::lock;

/// The caller that a share counts for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// A caller that has not authenticated, by the source that limits count by.
    Anonymous(Option<IpAddr>),
    /// A client.
    Client(ClientId),
}

impl Owner {
    pub(super) fn anonymous(source: Source) -> Self {
        Self::Anonymous(source.counted())
    }
}

/// Two budgets of one kind: callers that have not authenticated cannot use that of the clients.
pub(super) struct Budgets {
    anonymous: Budget,
    clients: Budget,
}

impl Budgets {
    pub(super) fn new(anonymous: usize, clients: usize) -> Self {
        Self { anonymous: Budget::new(anonymous), clients: Budget::new(clients) }
    }

    /// Takes a share. `gives_way` is cancelled when the share has to give way to another one.
    pub(super) fn share(&self, owner: Owner, amount: usize, gives_way: CancellationToken) -> Share {
        let budget = match owner {
            Owner::Anonymous(_) => &self.anonymous,
            Owner::Client(_) => &self.clients,
        };
        budget.share(owner, amount, gives_way)
    }
}

/// A budget that owners share.
#[derive(Clone)]
struct Budget {
    total: usize,
    state: Arc<Mutex<State>>,
}

impl Budget {
    fn new(total: usize) -> Self {
        Self { total, state: Arc::default() }
    }

    fn share(&self, owner: Owner, amount: usize, gives_way: CancellationToken) -> Share {
        let mut state = lock(&self.state);
        let position = state.append(&owner, Holder { amount, gives_way });
        state.make_room(&owner, self.total);
        drop(state);
        Share { budget: self.clone(), owner, position }
    }
}

/// A part of a budget. It is given back when it is dropped.
pub(super) struct Share {
    budget: Budget,
    owner: Owner,
    position: u64,
}

impl Share {
    pub(super) const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Takes more of the budget.
    pub(super) fn grow(&self, amount: usize) {
        let mut state = lock(&self.budget.state);
        state.grow(&self.owner, self.position, amount);
        state.make_room(&self.owner, self.budget.total);
    }

    /// Makes the share the newest one of its owner, because it has been used.
    pub(super) fn renew(&mut self) {
        let mut state = lock(&self.budget.state);
        if let Some(holder) = state.remove(&self.owner, self.position) {
            self.position = state.append(&self.owner, holder);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        lock(&self.budget.state).remove(&self.owner, self.position);
    }
}

#[derive(Default)]
struct State {
    used: usize,
    next_position: u64,
    owners: HashMap<Owner, Holders>,
}

/// The shares of one owner, by their positions.
#[derive(Default)]
struct Holders {
    used: usize,
    oldest_first: BTreeMap<u64, Holder>,
}

struct Holder {
    amount: usize,
    gives_way: CancellationToken,
}

impl State {
    /// An anonymous source that limits count by may use this part of a budget, even if the rest is free.
    const PART_OF_A_SOURCE: usize = 8;

    fn append(&mut self, owner: &Owner, holder: Holder) -> u64 {
        let position = self.next_position;
        self.next_position += 1;
        let holders = self.owners.entry(owner.clone()).or_default();
        self.used += holder.amount;
        holders.used += holder.amount;
        holders.oldest_first.insert(position, holder);
        position
    }

    /// Does nothing if the share has given way already.
    fn grow(&mut self, owner: &Owner, position: u64, amount: usize) {
        let Some(holders) = self.owners.get_mut(owner) else { return };
        let Some(holder) = holders.oldest_first.get_mut(&position) else { return };
        holder.amount += amount;
        holders.used += amount;
        self.used += amount;
    }

    /// None if the share has given way already.
    fn remove(&mut self, owner: &Owner, position: u64) -> Option<Holder> {
        let holders = self.owners.get_mut(owner)?;
        let holder = holders.oldest_first.remove(&position)?;
        self.used -= holder.amount;
        holders.used -= holder.amount;
        if holders.oldest_first.is_empty() {
            self.owners.remove(owner);
        }
        Some(holder)
    }

    fn make_room(&mut self, changed: &Owner, total: usize) {
        let part = if let Owner::Anonymous(Some(_)) = changed { total / Self::PART_OF_A_SOURCE } else { total };
        while self.owners.get(changed).is_some_and(|holders| holders.used > part) {
            self.evict_oldest(changed);
        }
        while self.used > total {
            let heaviest = self.owners.iter().max_by_key(|(_, holders)| holders.used);
            let Some(owner) = heaviest.map(|(owner, _)| owner.clone()) else { return };
            self.evict_oldest(&owner);
        }
    }

    fn evict_oldest(&mut self, owner: &Owner) {
        let oldest = self.owners.get(owner).and_then(|holders| holders.oldest_first.keys().next().copied());
        if let Some(holder) = oldest.and_then(|position| self.remove(owner, position)) {
            holder.gives_way.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Owner = Owner::Anonymous(None);

    fn client(id: &str) -> Owner {
        Owner::Client(id.parse().unwrap())
    }

    fn source(last: u8) -> Owner {
        Owner::Anonymous(Some([203, 0, 113, last].into()))
    }

    /// Takes a share; returns it with the token that says that it has given way.
    fn take(budgets: &Budgets, owner: &Owner, amount: usize) -> (Share, CancellationToken) {
        let gives_way = CancellationToken::new();
        (budgets.share(owner.clone(), amount, gives_way.clone()), gives_way)
    }

    fn given_way(shares: &[(Share, CancellationToken)]) -> Vec<bool> {
        shares.iter().map(|(_, gives_way)| gives_way.is_cancelled()).collect()
    }

    #[test]
    fn the_oldest_share_gives_way_when_the_budget_is_used_up() {
        let budgets = Budgets::new(3, 3);
        let mut shares: Vec<_> = (0..3).map(|_| take(&budgets, &NOBODY, 1)).collect();
        assert_eq!(given_way(&shares), [false; 3]);
        shares[0].0.renew();
        shares.push(take(&budgets, &NOBODY, 1));
        assert_eq!(given_way(&shares), [false, true, false, false]);
        // A share that has given way takes nothing and gives nothing back.
        shares[1].0.grow(100);
        shares[1].0.renew();
        drop(shares.remove(1));
        shares.push(take(&budgets, &NOBODY, 1));
        assert_eq!(given_way(&shares), [false, true, false, false]);
    }

    #[test]
    fn what_is_dropped_is_free_again() {
        let budgets = Budgets::new(3, 3);
        let first = take(&budgets, &NOBODY, 2);
        drop(take(&budgets, &NOBODY, 1));
        let second = take(&budgets, &NOBODY, 1);
        assert_eq!(given_way(&[first, second]), [false, false]);
        assert!(lock(&budgets.anonymous.state).owners.is_empty());
        assert_eq!(lock(&budgets.anonymous.state).used, 0);
    }

    #[test]
    fn the_owner_that_holds_the_most_gives_way_to_the_others() {
        let budgets = Budgets::new(0, 8);
        let modest = take(&budgets, &client("modest"), 2);
        let greedy: Vec<_> = (0..3).map(|_| take(&budgets, &client("greedy"), 2)).collect();
        modest.0.grow(1);
        assert_eq!(given_way(&greedy), [true, false, false]);
        assert!(!modest.1.is_cancelled());
        greedy[2].0.grow(2);
        assert_eq!(given_way(&greedy), [true, true, false]);
        assert!(!modest.1.is_cancelled());
    }

    #[test]
    fn anonymous_callers_cannot_use_the_budget_of_the_clients() {
        let budgets = Budgets::new(2, 2);
        let clients = [take(&budgets, &client("a"), 1), take(&budgets, &client("b"), 1)];
        let anonymous: Vec<_> = (0..5).map(|_| take(&budgets, &NOBODY, 1)).collect();
        assert_eq!(given_way(&clients), [false, false]);
        assert_eq!(given_way(&anonymous), [true, true, true, false, false]);
    }

    #[test]
    fn a_counted_source_has_a_limit_of_its_own() {
        let budgets = Budgets::new(16, 16);
        let one: Vec<_> = (0..3).map(|_| take(&budgets, &source(1), 1)).collect();
        let other = take(&budgets, &source(2), 2);
        assert_eq!(given_way(&one), [true, false, false]);
        assert!(!other.1.is_cancelled());
        let uncounted: Vec<_> = (0..12).map(|_| take(&budgets, &NOBODY, 1)).collect();
        assert_eq!(given_way(&uncounted), [false; 12]);
    }
}
