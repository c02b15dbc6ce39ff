//! The controllers of a Kubernetes control plane, an observer each.
