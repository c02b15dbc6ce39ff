//! Which keys a replica serves: rendezvous hashing over sets of members, and what follows from several such sets.

use std::fmt;

use super::settings::Rule;
use crate::Key;

/// Names of replicas, in order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members(Vec<String>);

/// What a replica serves now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Assignment {
    /// Nothing: it stands by.
    #[default]
    Nothing,
    /// Everything: it leads.
    All,
    /// The keys of a shard.
    Shard(Shard),
}

/// The keys that all of `sets` give to `me`, and that nobody else claims.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shard {
    pub(crate) rule: Rule,
    pub(crate) me: String,
    pub(crate) sets: Vec<Members>,
    pub(crate) claims: Vec<Claim>,
}

/// What another replica may be serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Anything: it goes by another rule.
    Everything,
    /// What this set gives to it.
    Of { member: String, set: Members },
}

impl Members {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        Self(names)
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.binary_search_by(|member| member.as_str().cmp(name)).is_ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The member with the highest score for a shard; which it is between two does not depend on the others.
    fn owner(&self, shard: u64) -> Option<&str> {
        let scored = self.0.iter().map(|name| (mix(hash(name) ^ shard), name.as_str()));
        scored.max().map(|(_, name)| name)
    }
}

impl Assignment {
    pub(crate) fn serves(&self, key: &Key) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Shard(shard) => shard.serves(key),
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

impl Shard {
    fn serves(&self, key: &Key) -> bool {
        let shard = mix(hash(&(self.rule.shard)(key)));
        self.sets.iter().all(|set| set.owner(shard) == Some(&self.me))
            && !self.claims.iter().any(|claim| claim.covers(shard))
    }
}

impl Claim {
    fn covers(&self, shard: u64) -> bool {
        match self {
            Self::Everything => true,
            Self::Of { member, set } => set.owner(shard) == Some(member),
        }
    }
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::All => f.write_str("everything"),
            Self::Shard(Shard { sets, claims, .. }) => {
                f.write_str("its share")?;
                for (number, set) in sets.iter().enumerate() {
                    write!(f, "{} {{{set}}}", if number == 0 { " of" } else { " and of" })?;
                }
                claims.iter().try_for_each(|claim| match claim {
                    Claim::Everything => f.write_str(", but nothing yet"),
                    Claim::Of { member, set } => write!(f, ", but not what {member} has of {{{set}}}"),
                })
            }
        }
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// FNV-1a. Not the standard library's hasher: replicas of different builds must agree.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Spreads what FNV leaves close together (the finalizer of SplitMix64).
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Namespace, Pod};

    use super::*;
    use crate::Sharding;

    fn members(names: &[&str]) -> Members {
        Members::new(names.iter().map(|name| (*name).to_owned()))
    }

    fn shares(names: &[&str], sharding: &Sharding) -> Vec<String> {
        let set = members(names);
        let owner = |number: u32| {
            let key = Key::new::<Pod>(format!("ns-{number}").as_str(), "web");
            set.owner(mix(hash(&(sharding.rule.shard)(&key)))).unwrap().to_owned()
        };
        (0..3000).map(owner).collect()
    }

    #[test]
    fn shares_are_even_and_only_what_a_leaver_had_moves() {
        for sharding in [Sharding::by_namespace("ns", "g"), Sharding::by_key("ns", "g")] {
            let (all, left) = (shares(&["a", "b", "c"], &sharding), shares(&["a", "c"], &sharding));
            for name in ["a", "b", "c"] {
                let count = all.iter().filter(|owner| *owner == name).count();
                assert!((850..1150).contains(&count), "{name} has {count} of 3000");
            }
            assert!(all.iter().zip(&left).all(|(before, after)| before == after || before == "b"));
        }
    }

    #[test]
    fn a_namespace_goes_with_what_is_in_it() {
        let rule = Sharding::by_namespace("ns", "g").rule;
        assert_eq!((rule.shard)(&Key::new::<Pod>("town", "web")), "town");
        assert_eq!((rule.shard)(&Key::new::<Namespace>(None, "town")), "town");
    }

    /// Replicas of different builds must agree for ever: these numbers may not change.
    #[test]
    fn the_hash_is_what_it_always_was() {
        // Published vectors: of FNV-1a, and SplitMix64's first number of seed 0.
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
    }
}
