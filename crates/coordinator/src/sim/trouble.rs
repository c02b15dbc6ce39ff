//! What goes wrong with whole replicas, from a seed: they crash, stand still, have slow clocks, and a bad network.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::Random;

/// How often a replica crashes in a run, at most.
const CRASHES_MAX: u64 = 2;
/// How long a replica that crashed is gone, at most.
const DOWN_MAX: Duration = Duration::from_secs(8);
/// How often one crashes again and again, and how soon after it is back.
const FLAPS: f64 = 0.3;
const FLAP_MAX: Duration = Duration::from_secs(5);
/// How often a replica that is one of several is paused in a run, at most, and for how long: longer than a lease.
const PAUSES_MAX: u64 = 3;
const PAUSE_MAX: Duration = Duration::from_secs(25);
/// How slow the clock of one of several may be, in thousandths of a second a second.
const RATES: Range<u32> = 850..1000;
/// How often a replica is cut off from the server, at most, and for how long: longer than a lease, and than a key waits for
/// its own writes before the server is asked.
const CUTS_MAX: u64 = 3;
const CUT_MAX: Duration = Duration::from_secs(45);
/// How long a request may take to the server, and its answer back. With the longest delay at the server, it must be
/// shorter than what is left of a lease when the slowest clock shows that its fence is passed (3.2 s of 15 s).
const FAR_MAX: Duration = Duration::from_millis(100);

/// Something that goes wrong with one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) replica: usize,
    pub(super) what: What,
}

/// What goes wrong with a replica. Times are counted from the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Crash(Crash),
    Pause(Pause),
    /// Its clock shows so many thousandths of a second a second.
    Slow(u32),
    Cut(Cut),
    /// Each request takes up to so long to the server, and its answer back.
    Far(Duration),
}

/// It crashes, or is told to shut down, and is built anew after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crash {
    pub(super) at: Duration,
    pub(super) down: Duration,
    /// Whether it was told to, and had the time to end what it was at.
    pub(super) gently: bool,
}

/// It stands still for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    /// Whether its machine sleeps: its steady clock stands still, too.
    pub(super) suspends: bool,
}

/// It is cut off from the server for a while: no answer comes to it, and nothing of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    /// Whether the server has what it sends, and answers come when the cut is over. Otherwise it is lost.
    pub(super) arrives: bool,
}

/// All troubles within the first `within` of a run. One replica alone is never paused, nor is its clock slow: nobody would
/// know.
pub(super) fn seeded(random: &Random, replicas: usize, within: Duration) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for replica in 0..replicas {
        let mut add = |what| troubles.push(Trouble { replica, what });
        let chance = |what: &str| random.fork(&format!("{what} of replica {replica}"));
        for crash in crashes(&chance("crashes"), within, replicas > 1) {
            add(What::Crash(crash));
        }
        let cuts = chance("cuts");
        for (at, lasts) in spans(&cuts, CUTS_MAX, CUT_MAX, within) {
            add(What::Cut(Cut { at, lasts, arrives: cuts.fraction() < 0.5 }));
        }
        let way = chance("way");
        if way.fraction() < 0.5 {
            add(What::Far(FAR_MAX.mul_f64(way.fraction())));
        }
        if replicas == 1 {
            continue;
        }
        let pauses = chance("pauses");
        for (at, lasts) in spans(&pauses, PAUSES_MAX, PAUSE_MAX, within) {
            add(What::Pause(Pause { at, lasts, suspends: pauses.fraction() < 0.3 }));
        }
        let clock = chance("clock");
        if clock.fraction() < 0.5 {
            add(What::Slow(RATES.start + (clock.number() % u64::from(RATES.end - RATES.start)) as u32));
        }
    }
    troubles
}

fn crashes(random: &Random, within: Duration, may_flap: bool) -> Vec<Crash> {
    let mut crashes = Vec::new();
    let mut at = Duration::ZERO;
    for _ in 0..random.number() % (CRASHES_MAX + 1) {
        at += within.mul_f64(random.fraction());
        if at > within {
            break;
        }
        loop {
            let (down, gently) = (DOWN_MAX.mul_f64(random.fraction()), random.fraction() < 0.3);
            crashes.push(Crash { at, down, gently });
            if !may_flap || random.fraction() >= FLAPS {
                break;
            }
            at += down + FLAP_MAX.mul_f64(random.fraction());
        }
    }
    crashes
}

/// Beginnings and lengths of at most `count` spans, in order and apart.
fn spans(random: &Random, count: u64, longest: Duration, within: Duration) -> Vec<(Duration, Duration)> {
    let mut spans = Vec::new();
    let mut at = Duration::ZERO;
    for _ in 0..random.number() % (count + 1) {
        at += within.mul_f64(random.fraction());
        if at > within {
            break;
        }
        let lasts = longest.mul_f64(random.fraction());
        spans.push((at, lasts));
        at += lasts;
    }
    spans
}

impl Trouble {
    /// Of what sort it is, as faults are counted.
    pub(super) fn sort(&self) -> &'static str {
        match &self.what {
            What::Crash(Crash { gently: false, .. }) => "a replica crashes",
            What::Crash(Crash { gently: true, .. }) => "a replica is shut down",
            What::Pause(Pause { suspends: false, .. }) => "a replica is paused",
            What::Pause(Pause { suspends: true, .. }) => "a replica is suspended",
            What::Slow(_) => "a clock is slow",
            What::Cut(_) => "a replica is cut off",
            What::Far(_) => "a replica is far away",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replica-{}: ", self.replica)?;
        match self.what {
            What::Crash(Crash { at, down, gently }) => {
                let how = if gently { "is shut down" } else { "crashes" };
                write!(f, "{how} at {}, is back {} later", Seconds(at), Seconds(down))
            }
            What::Pause(Pause { at, lasts, suspends }) => {
                let how = if suspends { "is suspended" } else { "is paused" };
                write!(f, "{how} at {} for {}", Seconds(at), Seconds(lasts))
            }
            What::Slow(rate) => write!(f, "its clock counts {rate} ms a second"),
            What::Cut(Cut { at, lasts, arrives }) => {
                let what = if arrives { "answers come late" } else { "what it sends is lost" };
                write!(f, "is cut off at {} for {}, {what}", Seconds(at), Seconds(lasts))
            }
            What::Far(most) => write!(f, "is up to {} ms from the server", most.as_millis()),
        }
    }
}

/// As the journal shows times, so that one finds them there.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.0.as_secs_f64())
    }
}
