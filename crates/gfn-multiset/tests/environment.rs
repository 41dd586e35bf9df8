//! The environment keeps what it promises, with and without capacities; closed forms against enumeration.

use gfn_core::Environment;
use gfn_core::exact::StateGraph;
use gfn_core::math::log_sum_exp;
use gfn_core::random::stream;
use gfn_core::testing::{CheckSettings, check_environment};
use gfn_multiset::{AdditiveReward, Item, Multiset, MultisetReward, Multisets};

fn items(capacities: &[Option<u32>]) -> Vec<Item> {
    let item = |(k, &capacity): (usize, &Option<u32>)| Item { name: format!("kind {k}"), capacity };
    capacities.iter().enumerate().map(item).collect()
}

#[test]
fn the_environment_keeps_its_promises() {
    for (kinds, size) in [(1, 1), (1, 5), (3, 4), (6, 3)] {
        check_environment(&Multisets::new(kinds, size).unwrap(), &CheckSettings::default()).unwrap();
    }
    for capacities in [&[Some(2), None, Some(1)][..], &[Some(1); 5], &[Some(0), Some(4), Some(7)]] {
        let env = Multisets::with_items(&items(capacities), 4).unwrap();
        check_environment(&env, &CheckSettings::default()).unwrap();
    }
}

#[test]
fn objects_are_the_multisets_within_capacities() {
    // Of the 15 multisets of 4 items out of 3 kinds, those with at most 2 of the first and 1 of the last.
    let env = Multisets::with_items(&items(&[Some(2), None, Some(1)]), 4).unwrap();
    let graph = StateGraph::enumerate(&env, 1000).unwrap();
    let mut found: Vec<Vec<u32>> = graph.objects().map(|object| object.counts().to_vec()).collect();
    found.sort();
    let expected = [[0, 3, 1], [0, 4, 0], [1, 2, 1], [1, 3, 0], [2, 1, 1], [2, 2, 0]];
    assert_eq!(found, expected);
    assert!(env.is_limited() && env.capacities() == [2, 4, 1]);
    assert!(expected.iter().all(|counts| env.check_object(&Multiset::new(counts.to_vec())).is_ok()));
    let error = env.check_object(&Multiset::new(vec![3, 1, 0])).unwrap_err().to_string();
    assert!(error.contains("kind 0") && error.contains("at most 2 items, its capacity, found 3"), "{error}");
    assert!(env.sample_object(&mut stream(1, "objects", 0)).is_none());
}

#[test]
fn log_z_within_capacities_agrees_with_enumeration() {
    // The second would overflow without log space.
    for values in [[0.3, -1.2, 0.8, 0.1], [400.0, 399.0, -300.0, 10.0]] {
        for capacities in
            [[Some(2), None, Some(1), Some(4)], [Some(1); 4], [None; 4], [Some(0), None, None, None]]
        {
            let env = Multisets::with_items(&items(&capacities), 4).unwrap();
            let reward = AdditiveReward::new(&env, values.to_vec()).unwrap();
            let graph = StateGraph::enumerate(&env, 1000).unwrap();
            let enumerated = log_sum_exp(&graph.log_rewards(&env, &reward));
            let closed = reward.log_partition_within(&env);
            assert!((closed - enumerated).abs() < 1e-12 * enumerated.abs().max(1.0), "{closed} {enumerated}");
            let general = MultisetReward::new(&env, values.to_vec(), &[]).unwrap();
            assert_eq!(general.log_partition(&env), Some(closed));
        }
    }
}

#[test]
fn capacities_that_are_too_small_are_refused() {
    let error = Multisets::with_items(&items(&[Some(2), Some(1)]), 4).unwrap_err().to_string();
    assert!(
        error.contains("size: expected at most 3, which is what the capacities allow, found 4"),
        "{error}"
    );
    assert!(Multisets::with_items(&[], 4).unwrap_err().to_string().starts_with("kinds: expected at least 1"));
}

#[test]
fn names_sizes_and_capacities_make_another_environment() {
    let print = |items: &[Item], size| Multisets::with_items(items, size).unwrap().spec().fingerprint.clone();
    let plain = items(&[None, Some(3)]);
    let mut renamed = plain.clone();
    renamed[0].name = "another".into();
    let all = [print(&plain, 4), print(&plain, 5), print(&renamed, 4), print(&items(&[None, Some(2)]), 4)];
    for (k, one) in all.iter().enumerate() {
        assert!(!all[..k].contains(one), "{all:?}");
    }
    // A capacity beyond the size excludes nothing: the objects are the same.
    assert_eq!(print(&items(&[None, Some(9)]), 4), print(&items(&[None, None]), 4));
}
