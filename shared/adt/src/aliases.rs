//! Identifiers that stand for others: merges, moves, changes of number.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use waybill_contracts::clinical::AliasLevel;

use crate::{
    join::{Fact, Join, Newest},
    key::Name,
    stamp::Stamp,
};

/// Links kept per identifier: the log from which a merge can be taken back (A37).
const HISTORY: usize = 8;

/// From a time on, one identifier stands for another, or again for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// When it was said.
    pub stamp: Stamp,
    /// The survivor; `None`: the merge was taken back.
    pub to: Option<Name>,
}

impl Fact for Link {
    type Group = ();
    fn group(&self) {}
    fn stamp(&self) -> Stamp {
        self.stamp
    }
}

/// All links, of patients, accounts and visits.
///
/// The latest link of an identifier counts. The older ones stay, and what was known under the old identifier stays under
/// it: a merge taken back is a later link, and nothing has been mixed that would have to be unmixed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aliases {
    #[serde(with = "crate::pairs")]
    links: BTreeMap<(AliasLevel, Name), Newest<Link, HISTORY>>,
}

impl Aliases {
    /// `from` stands for `to` from now on. Nothing that stands for itself is remembered.
    pub fn link(&mut self, level: AliasLevel, from: Name, to: Name, stamp: Stamp) {
        if from != to {
            self.links.entry((level, from)).or_default().add(Link { stamp, to: Some(to) });
        }
    }

    /// `from` stands for itself again from now on (A37).
    pub fn unlink(&mut self, level: AliasLevel, from: Name, stamp: Stamp) {
        self.links.entry((level, from)).or_default().add(Link { stamp, to: None });
    }

    /// The identifier that stands for `name` in the end.
    ///
    /// Links may go in a circle: A was merged into B, later B into A. Then the survivor of the latest merge among them
    /// is the one.
    pub fn survivor(&self, level: AliasLevel, name: &Name) -> Name {
        let mut path: Vec<(&Name, &Link)> = Vec::new();
        let mut seen = BTreeSet::from([name]);
        let mut at = name;
        while let Some((link, to)) = self.current(level, at) {
            path.push((at, link));
            at = to;
            if !seen.insert(to) {
                let circle = path.iter().skip_while(|(from, _)| *from != to);
                let latest = circle.max_by_key(|(_, link)| link.stamp).and_then(|(_, link)| link.to.as_ref());
                return latest.unwrap_or(to).clone();
            }
        }
        at.clone()
    }

    /// What was said about an identifier, oldest first.
    pub fn history(&self, level: AliasLevel, name: &Name) -> impl Iterator<Item = &Link> {
        // The key owns its name: a copy is what a look-up takes.
        self.links.get(&(level, name.clone())).into_iter().flat_map(Newest::iter)
    }

    fn current(&self, level: AliasLevel, name: &Name) -> Option<(&Link, &Name)> {
        let link = self.links.get(&(level, name.clone()))?.iter().next_back()?;
        Some((link, link.to.as_ref()?))
    }
}

impl Join for Aliases {
    fn join(&mut self, other: &Self) {
        for (name, links) in &other.links {
            self.links.entry(name.clone()).or_default().join(links);
        }
    }
}
