//! Documents about the API itself.
