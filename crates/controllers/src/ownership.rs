//! Who controls what: the coordinator's rules, by the names that controllers use.

pub(crate) use xebec_coordinator::ownership::{
    Claim, adopt, adopters, candidates, claim, controller_of, controller_reference, may_be_adopted, orphans,
    release, selector_of, selects,
};
