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
    /// By distinct row: how often it occurs.
    counts: Vec<u64>,
    /// The same as a position in `different_counts`.
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
    groups: Vec<(u32, u64)>,
    /// By class of rows: number of configurations that consist of one such row.
    alone: Vec<u32>,
}

/// Whether a partition will be split further.
#[derive(Clone, Copy, PartialEq)]
enum Rows {
    /// Yes: its rows are needed.
    Kept,
    /// No: its numbers of rows are enough.
    Counted,
}

/// The levels of a variable that the rows of one configuration have.
struct Levels {
    /// By level.
    met: Vec<Level>,
    /// The levels met, in the order of the rows.
    order: Vec<u16>,
}

/// A level within one configuration.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Number of distinct rows.
    distinct: u32,
    /// Number of rows, repetitions included.
    count: u64,
    /// The last of them.
    last: u32,
    /// Where the next of them goes.
    next: u32,
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
            counts: rows.counts().to_vec(),
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
            partition.groups = vec![(n_distinct, self.n_rows)];
        }
        partition
    }

    /// The configurations of the parents, and of the node with them.
    pub fn family(&self, node: usize, parents: u64) -> (Partition, Partition) {
        debug_assert!(parents >> node & 1 == 0, "node {node} is its own parent");
        let (mut partition, mut next) = (self.whole(), Partition::default());
        let mut levels = self.levels();
        for column in members(parents) {
            self.split(&partition, column, &mut levels, Rows::Kept, &mut next);
            std::mem::swap(&mut partition, &mut next);
        }
        self.split(&partition, node, &mut levels, Rows::Counted, &mut next);
        (partition, next)
    }

    /// The levels of a variable, not seen yet.
    fn levels(&self) -> Levels {
        let most = self.n_levels.iter().max().copied().unwrap_or(0);
        Levels { met: vec![Level::default(); most], order: Vec::new() }
    }

    /// Splits each configuration by one more variable, in time that depends on its rows and not on the levels.
    fn split(&self, from: &Partition, column: usize, levels: &mut Levels, kept: Rows, into: &mut Partition) {
        let codes = &self.columns[column][..];
        let Levels { met, order } = levels;
        let Partition { rows, groups, alone } = into;
        rows.clear();
        groups.clear();
        alone.clone_from(&from.alone);
        // Rows that stay with others come first; the list is cut where they end.
        rows.resize(if kept == Rows::Kept { from.rows.len() } else { 0 }, 0);
        let mut end = 0;
        let mut begin = 0;
        for &(group_end, _) in &from.groups {
            let group = &from.rows[begin..group_end as usize];
            begin = group_end as usize;
            for &row in group {
                let code = codes[row as usize];
                let level = &mut met[usize::from(code)];
                if level.distinct == 0 {
                    order.push(code);
                }
                level.distinct += 1;
                level.count += self.counts[row as usize];
                level.last = row;
            }
            for &code in order.iter() {
                let level = &mut met[usize::from(code)];
                if level.distinct == 1 {
                    alone[self.classes[level.last as usize] as usize] += 1;
                } else {
                    level.next = end;
                    end += level.distinct;
                    groups.push((end, level.count));
                }
            }
            if kept == Rows::Kept {
                for &row in group {
                    let level = &mut met[usize::from(codes[row as usize])];
                    if level.distinct > 1 {
                        rows[level.next as usize] = row;
                        level.next += 1;
                    }
                }
            }
            for code in order.drain(..) {
                met[usize::from(code)] = Level::default();
            }
        }
        rows.truncate(end as usize);
    }

    /// Σ f(N) over the configurations that occur, N their numbers of rows.
    pub fn sum(&self, partition: &Partition, mut f: impl FnMut(u64) -> f64) -> f64 {
        let together: f64 = partition.groups.iter().map(|&(_, count)| f(count)).sum();
        let alone = partition.alone.iter().zip(&self.different_counts).filter(|(times, _)| **times > 0);
        together + alone.map(|(&times, &count)| f64::from(times) * f(count)).sum::<f64>()
    }

    /// `width` numbers for each of the 2^d sets of variables, set after set by bits, filled in by `fill(state, set,
    /// configurations of the set, numbers)`: depth first, each set split from a smaller one. `state` is what a part of the
    /// sets shares, from `start`.
    pub fn of_all_sets<S>(
        &self,
        width: usize,
        start: impl Fn() -> S + Sync,
        fill: impl Fn(&mut S, u64, &Partition, &mut [f64]) + Sync,
    ) -> Vec<f64> {
        let d = self.n_columns();
        let mut all = vec![0.0; width << d];
        let below = d - PARTS.min(d);
        // The variables from `below` up are the same in all sets of a part.
        all.par_chunks_mut(width << below).enumerate().for_each(|(high, part)| {
            let mut state = start();
            let mut levels = self.levels();
            let mut path = vec![Partition::default(); below + 1];
            path[0] = self.whole();
            for column in members((high as u64) << below) {
                let from = std::mem::take(&mut path[0]);
                self.split(&from, column, &mut levels, Rows::Kept, &mut path[0]);
            }
            let mut visit = |set: usize, partition: &Partition| {
                let numbers = &mut part[set * width..(set + 1) * width];
                fill(&mut state, ((high << below) | set) as u64, partition, numbers);
            };
            visit(0, &path[0]);
            self.descend(&mut path, 0, below, &mut levels, &mut visit);
        });
        all
    }

    /// Visits the sets that `set`, whose partition comes first in `path`, becomes by variables below `below`.
    fn descend(
        &self,
        path: &mut [Partition],
        set: usize,
        below: usize,
        levels: &mut Levels,
        visit: &mut impl FnMut(usize, &Partition),
    ) {
        let Some((from, rest)) = path.split_first_mut() else { return };
        for column in 0..below {
            // Variable 0 is always the last.
            let rows = if column == 0 { Rows::Counted } else { Rows::Kept };
            self.split(from, column, levels, rows, &mut rest[0]);
            visit(set | 1 << column, &rest[0]);
            self.descend(rest, set | 1 << column, column, levels, visit);
        }
    }
}
