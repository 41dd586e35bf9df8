//! Tables: what is refused, with the place and what to do, and matching of columns by name.

mod shared;

use std::sync::Arc;

use gfn_bn::{Bge, BgeSettings, DagReward, DiscreteTable, Table};
use gfn_core::reward::LogReward;
use shared::{environment, table};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

#[test]
fn bad_tables_are_refused() {
    let message = |header: &[&str], columns| Table::new(names(header), columns).unwrap_err().to_string();
    assert!(message(&[], vec![]).contains("found 0 names, 0 columns"));
    assert!(message(&["a"], vec![vec![1.0], vec![2.0]]).contains("found 1 names, 2 columns"));
    assert!(message(&["a", "a"], vec![vec![1.0]; 2]).starts_with("column \"a\": expected a name of its own"));
    assert!(message(&["a"], vec![vec![]]).contains("table: expected at least one row, found none"));
    let ragged = message(&["a", "b"], vec![vec![1.0, 2.0], vec![1.0]]);
    assert_eq!(ragged, "column \"b\": expected 2 rows, as in column \"a\", found 1; complete the column");
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let text = message(&["a", "b"], vec![vec![1.0, 2.0], vec![1.0, value]]);
        assert!(text.starts_with("column \"b\", row 2: expected a finite number, found "), "{text}");
    }
}

#[test]
fn columns_are_matched_by_name() {
    let ours = table("X0,X1\n1,2\n3,5\n");
    let theirs = table("X1,X0\n2,1\n5,3\n");
    let order = names(&["X0", "X1"]);
    assert_eq!(theirs.in_order_of(&order).unwrap(), ours);
    assert_eq!((ours.n_rows(), ours.n_columns()), (2, 2));
    let missing = ours.in_order_of(&names(&["X0", "Y"])).unwrap_err().to_string();
    assert!(missing.contains("table: expected a column \"Y\", found columns [\"X0\", \"X1\"]"), "{missing}");
    let extra = ours.in_order_of(&names(&["X1"])).unwrap_err().to_string();
    assert!(extra.contains("expected no columns but [\"X1\"], found a column \"X0\""), "{extra}");

    let env = environment(2);
    let dag = "0100".parse().unwrap();
    let score = |table| DagReward::bge(&env, table, &BgeSettings::default()).unwrap().log_reward(&env, &dag);
    assert_eq!(score(&ours), score(&theirs));
    let other_scale = table("X0,X1\n1,20\n3,50\n");
    assert_ne!(score(&ours), score(&other_scale));
}

#[test]
fn rewards_of_other_variables_are_refused() {
    let env = environment(3);
    let two = table("X0,X1\n1,2\n3,5\n");
    assert!(DagReward::bge(&env, &two, &BgeSettings::default()).is_err());
    let score = Arc::new(Bge::new(&two, &BgeSettings::default()).unwrap());
    let text = DagReward::new(&env, vec![score]).err().unwrap().to_string();
    assert!(text.contains("score: expected one over the 3 nodes of the environment, found one over 2"));
}

#[test]
fn rows_are_pooled_by_name() {
    let first = table("X0,X1\n1,2\n3,5\n");
    let second = table("X1,X0\n7,6\n");
    let pooled = Table::pooled(&[first.clone(), second]).unwrap();
    assert_eq!(pooled, table("X0,X1\n1,2\n3,5\n6,7\n"));
    assert_eq!(Table::pooled(std::slice::from_ref(&first)).unwrap(), first);
    assert!(Table::pooled(&[first, table("X0,Y\n1,2\n")]).is_err());
    assert!(Table::pooled(&[]).is_err());
}

#[test]
fn categories_are_pooled_where_levels_agree() {
    let discrete = |levels: &[&str], codes: Vec<u16>| {
        DiscreteTable::new(names(&["a"]), vec![names(levels)], vec![codes]).unwrap()
    };
    let first = discrete(&["x", "y"], vec![0, 1]);
    let pooled = DiscreteTable::pooled(&[first.clone(), discrete(&["x", "y"], vec![1])]).unwrap();
    assert_eq!(pooled, discrete(&["x", "y"], vec![0, 1, 1]));
    let text = DiscreteTable::pooled(&[first, discrete(&["y", "x"], vec![0])]).unwrap_err().to_string();
    assert!(text.starts_with("table 2: expected the columns and levels of the first table"), "{text}");
    assert!(DiscreteTable::pooled(&[]).is_err());
}
