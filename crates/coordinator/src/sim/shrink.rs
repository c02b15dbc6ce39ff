//! Leaving out what does not matter (delta debugging).

/// The shortest list found, in order, of which `fails` still says that it fails. `items` is known to fail. Asks at most
/// `budget` times, which is counted down.
pub(super) fn shrink<T: Clone>(
    items: Vec<T>,
    budget: &mut usize,
    mut fails: impl FnMut(&[T]) -> bool,
) -> Vec<T> {
    let mut items = items;
    let mut parts = 2;
    while !items.is_empty() {
        let length = items.len().div_ceil(parts).max(1);
        let mut start = 0;
        let mut shrunk = false;
        while start < items.len() && *budget > 0 {
            let end = (start + length).min(items.len());
            let rest: Vec<T> = items[..start].iter().chain(&items[end..]).cloned().collect();
            *budget -= 1;
            if fails(&rest) {
                items = rest;
                shrunk = true;
            } else {
                start = end;
            }
        }
        if *budget == 0 || (!shrunk && length == 1) {
            break;
        }
        if !shrunk {
            parts = (parts * 2).min(items.len().max(1));
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_matters() {
        for needed in [&[3_u32, 77][..], &[0], &[99], &[10, 11, 12, 80], &[]] {
            let mut budget = 1000;
            let all: Vec<u32> = (0..100).collect();
            let left = shrink(all, &mut budget, |items| needed.iter().all(|item| items.contains(item)));
            assert_eq!(left, needed, "in {} runs", 1000 - budget);
        }
    }

    #[test]
    fn a_budget_ends_it() {
        let mut budget = 3;
        let left = shrink((0..100).collect(), &mut budget, |items: &[u32]| items.contains(&42));
        assert!(left.contains(&42) && left.len() < 100 && budget == 0);
    }
}
