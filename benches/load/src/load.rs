//! Closed-loop load: N connections, each sending its next request when the last is answered.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use futures::stream::{FuturesUnordered, TryStreamExt};

use crate::{clock, connection::Connection, target::Target};

/// How long each of many requests took, and all of them together.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// In the order in which they were taken, until they are sorted.
    latencies: Vec<Duration>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Samples {
    /// Of requests that were made one after the other.
    pub fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let elapsed = latencies.iter().sum();
        Self { latencies, elapsed }
    }

    /// How many requests.
    pub fn count(&self) -> usize {
        self.latencies.len()
    }

    /// How many of them a second.
    pub fn per_second(&self) -> f64 {
        self.count() as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// The latency that `percent` of the requests did not exceed; zero where there are none.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        self.latencies.get(rank - 1).copied().unwrap_or_default()
    }
}

/// What load to make, and what its answers are.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many connections, each with one request at a time.
    pub connections: u16,
    /// Requests in all; fewer are sent where the time is up before.
    pub requests: u64,
    /// No request is begun later than this.
    pub at_most: Duration,
    /// The status of every answer.
    pub expected: u16,
}

impl Load {
    /// Sends requests, the n-th as `write` writes it. The connections are opened before the time is taken.
    ///
    /// # Errors
    /// At the first answer with another status, and where a connection breaks.
    pub async fn run(&self, target: &Target, write: impl Fn(&mut Vec<u8>, u64)) -> Result<Samples> {
        let opening: FuturesUnordered<_> = (0..self.connections).map(|_| Connection::open(target)).collect();
        let connections: Vec<Connection> = opening.try_collect().await?;
        let next = Cell::new(0);
        let start = clock::now();
        let running: FuturesUnordered<_> =
            connections.into_iter().map(|connection| self.serve(connection, &next, start, &write)).collect();
        let latencies = running.try_concat().await?;
        let elapsed = clock::since(start);
        Ok(Samples { elapsed, ..Samples::of(latencies) })
    }

    async fn serve(
        &self,
        mut connection: Connection,
        next: &Cell<u64>,
        start: Instant,
        write: &impl Fn(&mut Vec<u8>, u64),
    ) -> Result<Vec<Duration>> {
        let mut request = Vec::with_capacity(4096);
        let mut latencies = Vec::new();
        let mut sent = clock::now();
        while next.get() < self.requests && sent.duration_since(start) < self.at_most {
            let number = next.replace(next.get() + 1);
            request.clear();
            write(&mut request, number);
            let status = connection.exchange(&request).await?;
            if status != self.expected {
                let body = String::from_utf8_lossy(connection.body());
                let shown: String = body.chars().take(500).collect();
                bail!("request {number} was answered {status}, not {}: {shown}", self.expected);
            }
            let answered = clock::now();
            latencies.push(answered.duration_since(sent));
            sent = answered;
        }
        Ok(latencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let ms = |numbers: &[u64]| Samples::of(numbers.iter().map(|ms| Duration::from_millis(*ms)).collect());
        let hundred: Vec<u64> = (1..=100).rev().collect();
        for (numbers, percent, expected) in [
            (hundred.as_slice(), 50, 50),
            (hundred.as_slice(), 99, 99),
            (hundred.as_slice(), 100, 100),
            (&[7], 50, 7),
            (&[7], 99, 7),
            (&[3, 1, 2], 50, 2),
            (&[], 50, 0),
        ] {
            assert_eq!(
                ms(numbers).percentile(percent),
                Duration::from_millis(expected),
                "{percent} of {numbers:?}"
            );
        }
    }
}
