//! How often each configuration of a set of categorical variables occurs, for one set or for all.

use rayon::prelude::*;

use super::row_counts::RowCounts;
use crate::dag::members;

/// All sets are taken in at most 2^4 independent parts, whatever the number of threads.
const PARTS: usize = 4;

/// The distinct rows of a table, ready to be split by one variable after another.
#[derive(Debug, Clone)]
pub(super) struct Configurations {
    /// Positions of levels, by column and distinct row.
    columns: Vec<Vec<u16>>,
    /// Levels that there are, seen or not, by column.
    n_levels: Vec<usize>,
    /// By distinct row: how often it occurs, as a position in `different_counts`.
    classes: Vec<u32>,
    /// The different numbers of times that a row occurs; there are O(√n) of them among n rows.
    different_counts: Vec<u64>,
    n_rows: u64,
}

/// The distinct rows, split by the configurations of a set of variables.
///
/// A configuration with a single distinct row stays whole whatever splits the others: it leaves the list and is only
/// counted, so that larger sets, which leave most rows alone, cost less than smaller ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Partition {
    /// The rows of the configurations with at least two distinct rows, one configuration after another.
    rows: Vec<u32>,
    /// By such configuration: the end of its rows in `rows`, and how many rows it has, repetitions included.
    groups: Vec<(usize, u64)>,
    /// By class of rows: number of configurations that consist of one such row.
    alone: Vec<u32>,
}

impl Configurations {
    pub fn new(rows: &RowCounts) -> Self {
        let mut different_counts = rows.counts().to_vec();
        different_counts.sort_unstable();
        different_counts.dedup();
        let class = |count: &u64| different_counts.binary_search(count).expect("it is in the list") as u32;
        Configurations {
            columns: rows.distinct_rows().columns().to_vec(),
            n_levels: rows.levels().iter().map(Vec::len).collect(),
            classes: rows.counts().iter().map(class).collect(),
            different_counts,
            n_rows: rows.n_rows(),
        }
    }

    /// Number of columns, d.
    pub fn n_columns(&self) -> usize {
        self.columns.len()
    }

    /// Number of rows, repetitions included.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Number of levels of a variable, r.
    pub fn n_levels(&self, column: usize) -> f64 {
        self.n_levels[column] as f64
    }

    /// log q, q the number of configurations of a set of variables that there can be: the product of their levels.
    pub fn log_configurations(&self, set: u64) -> f64 {
        members(set).map(|column| self.n_levels(column).ln()).sum()
    }

    /// The configurations of no variables: one, of all rows.
    fn whole(&self) -> Partition {
        let mut partition = Partition { alone: vec![0; self.different_counts.len()], ..Partition::default() };
        let n_distinct = self.classes.len();
        if n_distinct == 1 {
            partition.alone[0] = 1;
        } else {
            let n_distinct = u32::try_from(n_distinct).expect("fewer than 2^32 rows fit into memory");
            partition.rows = (0..n_distinct).collect();
            partition.groups = vec![(partition.rows.len(), self.n_rows)];
        }
        partition
    }

    /// The configurations of the parents, and of the node with them.
    pub fn family(&self, node: usize, parents: u64) -> (Partition, Partition) {
        debug_assert!(parents >> node & 1 == 0, "node {node} is its own parent");
        let (mut partition, mut next) = (self.whole(), Partition::default());
        for column in members(parents) {
            self.split(&partition, column, &mut next);
            std::mem::swap(&mut partition, &mut next);
        }
        self.split(&partition, node, &mut next);
        (partition, next)
    }

    /// Splits each configuration by one more variable.
    fn split(&self, from: &Partition, column: usize, into: &mut Partition) {
        let code = |row: u32| self.columns[column][row as usize];
        let class = |row: u32| self.classes[row as usize] as usize;
        let Partition { rows, groups, alone } = into;
        rows.clear();
        groups.clear();
        alone.clone_from(&from.alone);
        let mut begin = 0;
        for &(end, _) in &from.groups {
            let start = rows.len();
            rows.extend_from_slice(&from.rows[begin..end]);
            begin = end;
            rows[start..].sort_unstable_by_key(|&row| code(row));
            // Runs of one code are moved forward over the rows left out.
            let (mut read, mut write) = (start, start);
            while read < rows.len() {
                let level = code(rows[read]);
                let run = rows[read..].iter().take_while(|&&row| code(row) == level).count();
                if run == 1 {
                    alone[class(rows[read])] += 1;
                } else {
                    let count = rows[read..read + run].iter().map(|&row| self.different_counts[class(row)]);
                    groups.push((write + run, count.sum()));
                    rows.copy_within(read..read + run, write);
                    write += run;
                }
                read += run;
            }
            rows.truncate(write);
        }
    }

    /// Σ f(N) over the configurations that occur, N their numbers of rows.
    pub fn sum(&self, partition: &Partition, mut f: impl FnMut(u64) -> f64) -> f64 {
        let together: f64 = partition.groups.iter().map(|&(_, count)| f(count)).sum();
        let alone = partition.alone.iter().zip(&self.different_counts).filter(|(times, _)| **times > 0);
        together + alone.map(|(&times, &count)| f64::from(times) * f(count)).sum::<f64>()
    }

    /// `value(state, set, configurations of the set)` for all 2^d sets of variables, by bits: depth first, each set
    /// split from a smaller one. `state` is what a part of the sets shares, from `start`.
    pub fn of_all_sets<S>(
        &self,
        start: impl Fn() -> S + Sync,
        value: impl Fn(&mut S, u64, &Partition) -> f64 + Sync,
    ) -> Vec<f64> {
        let d = self.n_columns();
        let mut all = vec![0.0; 1 << d];
        let below = d - PARTS.min(d);
        // The variables from `below` up are the same in all sets of a part.
        all.par_chunks_mut(1 << below).enumerate().for_each(|(high, part)| {
            let mut state = start();
            let mut path = vec![Partition::default(); below + 1];
            path[0] = self.whole();
            for column in members((high as u64) << below) {
                let from = std::mem::take(&mut path[0]);
                self.split(&from, column, &mut path[0]);
            }
            let mut visit = |set: usize, partition: &Partition| {
                part[set] = value(&mut state, ((high << below) | set) as u64, partition);
            };
            visit(0, &path[0]);
            self.descend(&mut path, 0, below, &mut visit);
        });
        all
    }

    /// Visits the sets that `set`, whose partition comes first in `path`, becomes by variables below `below`.
    fn descend(
        &self,
        path: &mut [Partition],
        set: usize,
        below: usize,
        visit: &mut impl FnMut(usize, &Partition),
    ) {
        let Some((from, rest)) = path.split_first_mut() else { return };
        for column in 0..below {
            self.split(from, column, &mut rest[0]);
            visit(set | 1 << column, &rest[0]);
            self.descend(rest, set | 1 << column, column, visit);
        }
    }
}
