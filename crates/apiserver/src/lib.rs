//! The Kubernetes API, version 1.36, in process or on a port.
