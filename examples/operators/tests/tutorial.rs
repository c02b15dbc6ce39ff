//! What docs/tutorial.md shows is what is compiled and tested.

const TUTORIAL: &str = include_str!("../../../docs/tutorial.md");
const PROGRAMS: [&str; 4] = [
    include_str!("../src/bin/tutorial_first.rs"),
    include_str!("../src/bin/tutorial.rs"),
    include_str!("../src/tutorial_tests.rs"),
    include_str!("../cases/exposer/exposes.yaml"),
];

#[test]
fn every_block_of_the_tutorial_is_part_of_a_program() {
    let blocks: Vec<&str> = ["```rust\n", "```yaml\n"]
        .iter()
        .flat_map(|fence| TUTORIAL.split(fence).skip(1))
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(blocks.len() >= 9, "{}", blocks.len());
    for block in blocks {
        assert!(PROGRAMS.iter().any(|program| program.contains(block)), "in no program:\n{block}");
    }
}

#[test]
fn the_operator_of_the_tutorial_has_thirty_lines() {
    let lines = PROGRAMS[0].lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//"));
    let code = lines.skip_while(|line| !line.starts_with("struct")).count();
    assert!(code <= 30, "{code}");
}
