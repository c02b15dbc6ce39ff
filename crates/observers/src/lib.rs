//! What xebec adds to a cluster: config reload and its siblings, an observer each.
