//! The Kubernetes API told as events: one watch a kind, many observers.
