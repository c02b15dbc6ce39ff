//! A Kubernetes cluster in one binary, and the crew that keeps a cluster in order.

fn main() {}
