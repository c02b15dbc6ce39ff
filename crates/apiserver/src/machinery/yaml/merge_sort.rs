//! A sort for orders that are none: Kubernetes' YAML sorts keys by a comparison that can go in circles
//! (`a10` < `a1x` < `a9` < `a10`), for which the standard library may panic.

/// Runs of this length are sorted by insertion, as Go does.
const RUN: usize = 12;

/// Sorts by `less`. Whatever that says, the items are all there afterwards.
pub(super) fn sort<T: Copy>(items: &mut [T], less: &impl Fn(&T, &T) -> bool) {
    if items.len() <= RUN {
        for end in 1..items.len() {
            for position in (1..=end).rev() {
                if !less(&items[position], &items[position - 1]) {
                    break;
                }
                items.swap(position, position - 1);
            }
        }
        return;
    }
    let (left, right) = items.split_at_mut(items.len() / 2);
    sort(left, less);
    sort(right, less);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let next = if less(second, first) { right.next() } else { left.next() };
        merged.extend(next);
    }
    merged.extend(left.chain(right));
    items.copy_from_slice(&merged);
}
