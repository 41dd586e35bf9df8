//! Subtrees that were merged before: walks of a trained policy make the same ones again and again.

use std::sync::{Arc, Mutex};

use rustc_hash::FxHashMap;

use super::subtree::Subtree;

/// Parts with a lock of their own, so that threads seldom wait for each other.
const PARTS: usize = 16;
/// About how many numbers the subtrees of a part hold together: a full part is emptied.
const PART_NUMBERS: usize = 200_000;

/// Halves of the hashes of left and right child, which are well mixed, and the bins of the edges to them: small, as looking one
/// up is mostly waiting for memory.
type Key = (u64, u64, (u8, u8));

/// Subtrees by their children; clones of an environment share them.
#[derive(Clone, Default)]
pub(super) struct KnownSubtrees {
    parts: Arc<[Mutex<Part>; PARTS]>,
}

#[derive(Default)]
struct Part {
    subtrees: FxHashMap<Key, Arc<Subtree>>,
    numbers: usize,
}

impl std::fmt::Debug for KnownSubtrees {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnownSubtrees")
    }
}

impl KnownSubtrees {
    /// The subtree with these children, left first, made if it is not known.
    pub fn get(
        &self,
        left: &Subtree,
        right: &Subtree,
        bins: (u8, u8),
        make: impl FnOnce() -> Arc<Subtree>,
    ) -> Arc<Subtree> {
        let key = (left.hash as u64, right.hash as u64, bins);
        let part = &self.parts[(key.0 ^ key.1.rotate_right(7)) as usize % PARTS];
        let lock = || part.lock().expect("only looking up and keeping is done under the lock");
        if let Some(known) = lock().subtrees.get(&key) {
            return Arc::clone(known);
        }
        let made = make();
        let mut part = lock();
        if part.numbers > PART_NUMBERS {
            part.subtrees.clear();
            part.numbers = 0;
        }
        // Two threads may have made it at once.
        if part.subtrees.insert(key, Arc::clone(&made)).is_none() {
            part.numbers += made.features.len() + 2 * made.leaves.len() + 32;
        }
        made
    }
}
