//! What a kubelet does: simulated nodes.
