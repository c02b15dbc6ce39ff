//! The rules of the code base as tests, and the generation of tables.

fn main() {}
