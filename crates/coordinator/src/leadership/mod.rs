//! Several replicas of one coordinator: one leads, or all share out the keys; and none writes that may not.
//!
//! # Time
//!
//! Clocks of replicas are never compared, only how long things last: a Lease counts as expired when its record has
//! been seen unchanged for its duration *on the local clock*, as client-go judges it. So it does not matter what time
//! it is anywhere, only that one clock does not run half again as fast as another. Three durations follow from the
//! Lease's, `L` (15 s):
//!
//! - The holder may write until `⅔ L` after it *sent* the last renewal that succeeded (its **fence**). When the answer
//!   came does not matter: the server had the renewal no earlier than it was sent.
//! - Others take it for expired when a list or a get that they *sent* `L` or later after they first saw the record
//!   still shows that record. They first saw it no earlier than it was sent; and asking anew, they cannot overlook a
//!   renewal that the server had before.
//! - What lies between, the **margin** of `⅓ L`, is for the difference of the clocks' rates, and for writes that are
//!   under way: a write that was given up or got no answer counts as possible for the margin more.
//!
//! The fence is checked where a write is sent, in `Runtime::write`, and given up is what waits for its answer when the
//! fence passes. A process that was paused finds it passed when it wakes. Two clocks of a process are asked, the wall's
//! and a steady one, see [`moment`]: neither setting the clock nor suspending the machine prolongs a fence.
//!
//! Out of reach of any such scheme, as the server does not check who holds a Lease: a process that is paused between
//! the check and the sending of the bytes for more than the margin, and people who delete Leases while they are held
//! (the holder notices within a renewal). Updates are guarded by their `resourceVersion` even then.
//!
//! # Election
//!
//! The holder of one Lease leads. Every write to it is conditional on the version that was read, so the server lets
//! only one of those through who want it at a time. Together with the fence: two never write.
//!
//! On shutdown nothing new is begun, what is under way may end (for half the fence; then it is dropped), and only then
//! is the Lease released, by a `holderIdentity` that is empty. If a write was given up on the way it is not released
//! but left to expire.
//!
//! # Sharding: no key is served by two
//!
//! Each member has a Lease of its own; its annotation holds its **claim**: a set `P` of members. A set gives each key to
//! one member by rendezvous hashing. A member `p`
//!
//! 1. serves a key only if its fence is open and all sets that the server may have as its claim give it the key;
//! 2. before it publishes a claim without a key has ended the work for it, writes under way included;
//! 3. begins to serve a key only after a list, sent after the server had confirmed a claim with the key, in which each
//!    other member's claim is without it, or that member's Lease is released or expired;
//! 4. begins each term with an empty claim, and so claims nothing without having listed the others before.
//!
//! *Claim.* At no time two members serve one key. *Proof.* Say that `p` and `q` serve key `k` at time `t`. By 1 and 2
//! each has had a claim with `k` at the server without a break, in a term without a break, since the list by which it
//! began to serve it. Let `q`'s claim have come to the server after `p`'s. `q` listed after that (3), so the list showed
//! `p`'s Lease with `k` in its claim; hence `q` took it for released or expired. It was not released, as a release ends
//! the term. So `q` had seen its record unchanged for `L` when it asked for the list. The server then had no renewal of
//! `p`'s beyond that record, whose sending lies at least `L` back by `q`'s clock and so more than `⅔ L` by `p`'s: `p`'s
//! fence was passed, and its term broken, before any later renewal could be answered. A contradiction. ∎
//!
//! Nowhere does this need members to agree on who lives. That they do in the end is what liveness needs: each claims
//! by the set of those that it sees alive, and asks every 250 ms to 2 s, so after quiet all sets are the same, and a
//! set gives each key to one. Which of two members a key prefers does not depend on the rest of a set: two that know of
//! each other never want the same key, however different their sets otherwise are. A joiner is given its keys as soon
//! as the others have seen it and let them go: a second or two. Those of a dead member are served by others `L` and at
//! most one renewal (`²⁄₁₅ L`) after its last sign of life.
//!
//! A Lease that vanishes without having been released counts until it would have expired. Members that go by another
//! [rule](Sharding::by) count as claiming everything as soon as they claim anything, and one that sees such a member
//! does not begin to claim: a new release with another rule waits until the old one is gone.
//!
//! # What observers see
//!
//! An observer whose replica stands by keeps its view, and serves nothing. When it comes to serve keys it waits until
//! its watches show what the server has by then, so that it sees all that others have written, and wakes these keys
//! from the snapshot. When its replica loses them, their keys are dropped with all that was known of them.

mod driver;
mod duty;
mod elector;
mod hold;
mod machine;
mod membership;
mod moment;
mod post;
mod requests;
mod settings;
mod shards;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use driver::Driver;
pub(crate) use duty::{Duty, Fenced, Permit, Serving};
pub(crate) use machine::Choice;
pub(crate) use post::Post;
pub use settings::{Election, Sharding};
pub use status::{LeadershipStatus, Member};
