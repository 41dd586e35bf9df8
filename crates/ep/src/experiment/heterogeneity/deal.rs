//! Problems whose product stays the same while their clients get less alike.

use std::f64::consts::TAU;
use std::sync::Arc;

use gfn_core::Result;
use gfn_core::domain::Domain as _;
use gfn_core::grid::{Cell, Grid};
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_phylo::{Alignment, MergeForest};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::{STEPS, shortened};
use crate::experiment::problem::{Problem, Sum};
use crate::experiment::problems::{grid_training, simulated_sites, trees_of_shards};
use crate::experiment::training::seed_of;
use crate::grid::{GridDomain, GridSettings};

/// Cells per axis of the grid.
pub(super) const SIDE: usize = 9;
/// Standard deviation of the product on the grid.
pub(super) const DEVIATION: f64 = 1.0;
/// Taxa, sites in all, exponent of the likelihood, and genes, each with a tree of its own.
pub(super) const TAXA: usize = 6;
pub(super) const SITES: usize = 1280;
pub(super) const TEMPER: f64 = 0.03;
pub(super) const GENES: usize = 4;

/// N clients with log R_n(x) = −|x − b_n|²/(2 N σ²), whose centres b_n lie evenly on a circle around the middle of the grid,
/// `apart` · σ √N away from it. As Σ_n |x − b_n|² = N |x − b̄|² + constant, the product is the same for all N and
/// `apart`: a normal law of deviation σ around the middle.
pub(super) fn beacons(n_clients: usize, apart: f64, quick: bool) -> Result<Problem<Grid>> {
    let middle = (SIDE - 1) as f64 / 2.0;
    let variance = n_clients as f64 * DEVIATION * DEVIATION;
    let radius = apart * variance.sqrt();
    let reward = |n: usize| {
        // Not along the axes, so that no client sees one coordinate alone.
        let angle = TAU * (n as f64 + 0.3) / n_clients as f64;
        let centre = [middle + radius * angle.cos(), middle + radius * angle.sin()];
        let log_reward = move |cell: &Cell| {
            let squares = centre.iter().zip(cell.coordinates).map(|(b, x)| (f64::from(x) - b).powi(2));
            -squares.sum::<f64>() / (2.0 * variance)
        };
        Arc::new(log_reward) as Arc<dyn LogReward<Grid>>
    };
    let clients: Vec<_> = (0..n_clients).map(reward).collect();
    let domain = GridDomain::new(&GridSettings { dimensions: 2, side: SIDE })?;
    let training = shortened(grid_training(&domain), STEPS[usize::from(quick)]);
    let product = Arc::new(Sum(clients.clone()));
    Problem::new("grid", Arc::clone(domain.environment()), clients, product, training, None)
}

/// Sites of several genes, each along a tree of its own, dealt in equal parts to clients that mix the genes by a Dirichlet
/// law of this concentration: large ones are alike, small ones have one gene each. Without one, each client has the next
/// sites in their order. The product is that of all sites.
pub(super) fn genes(
    n_clients: usize,
    concentration: Option<f64>,
    quick: bool,
    seed: u64,
) -> Result<Problem<MergeForest>> {
    let (domain, mut all) = simulated_sites(TAXA, SITES / GENES, seed_of(seed, "gene 0"))?;
    for gene in 1..GENES {
        let (_, next) = simulated_sites(TAXA, SITES / GENES, seed_of(seed, &format!("gene {gene}")))?;
        all = beside(all, &next);
    }
    let shards = match concentration {
        Some(concentration) => {
            deal(n_clients, concentration, &mut stream(seed, &format!("deal {n_clients} {concentration}"), 0))
        }
        None => contiguous(n_clients),
    };
    let mut problem = trees_of_shards(&domain, &all, &shards, TEMPER, quick)?;
    problem.training = shortened(problem.training, STEPS[usize::from(quick)]);
    Ok(problem)
}

/// Two alignments of the same rows as one.
fn beside(mut left: Alignment, right: &Alignment) -> Alignment {
    left.rows.iter_mut().zip(&right.rows).for_each(|(row, more)| row.extend(more));
    left
}

/// Equal shards of sites in their order.
fn contiguous(n_clients: usize) -> Vec<Vec<usize>> {
    let own = SITES / n_clients;
    (0..n_clients).map(|client| (client * own..(client + 1) * own).collect()).collect()
}

/// Equal shards of sites; those of gene g are g · S/G to (g + 1) · S/G. Each client draws the gene of its next site by
/// Pólya's urn, which is a Dirichlet mixture drawn once (Blackwell & MacQueen 1973), among the genes with sites left.
fn deal(n_clients: usize, concentration: f64, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let per_gene = SITES / GENES;
    let mut used = [0; GENES];
    (0..n_clients)
        .map(|_| {
            let mut own = [0usize; GENES];
            let draw = |_| {
                let weights: [f64; GENES] = std::array::from_fn(|gene| {
                    if used[gene] < per_gene { concentration + own[gene] as f64 } else { 0.0 }
                });
                let mut u = rng.random::<f64>() * weights.iter().sum::<f64>();
                let drawn = weights.iter().position(|weight| {
                    u -= weight;
                    u < 0.0
                });
                let left = || weights.iter().rposition(|weight| *weight > 0.0).expect("sites are left");
                let gene = drawn.unwrap_or_else(left);
                own[gene] += 1;
                used[gene] += 1;
                gene * per_gene + used[gene] - 1
            };
            (0..SITES / n_clients).map(draw).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use gfn_core::metrics::l1;

    use super::*;

    #[test]
    fn the_product_on_the_grid_does_not_depend_on_how_it_is_dealt() {
        let reference = beacons(2, 0.0, true).unwrap().target;
        let middle = (SIDE * SIDE) / 2;
        let largest = reference.iter().copied().fold(0.0, f64::max);
        for (n, apart) in [(2, 3.0), (5, 1.0), (64, 4.0)] {
            let problem = beacons(n, apart, true).unwrap();
            assert!(l1(&problem.target, &reference) < 1e-9, "{n} clients, {apart} apart");
            // The clients themselves do.
            let moved = l1(&problem.client_target(0), &reference);
            assert!(moved > 0.3, "{n} clients, {apart} apart: {moved}");
        }
        let at = beacons(2, 0.0, true).unwrap().graph.objects().position(|c| c.coordinates[..2] == [4, 4]);
        assert!(at.is_some_and(|at| reference[at] == largest), "{middle}");
    }

    #[test]
    fn every_site_is_dealt_once_and_small_concentrations_part_the_genes() {
        let per_gene = SITES / GENES;
        let mut purity = Vec::new();
        for concentration in [100.0, 1.0, 0.001] {
            let shards = deal(16, concentration, &mut stream(0, "deal", 0));
            let mut all: Vec<usize> = shards.concat();
            all.sort_unstable();
            assert_eq!(all, (0..SITES).collect::<Vec<_>>());
            assert!(shards.iter().all(|shard| shard.len() == SITES / 16));
            // The share of the commonest gene, mean over clients.
            let commonest = |shard: &Vec<usize>| {
                let count = |gene| shard.iter().filter(|&&site| site / per_gene == gene).count();
                (0..GENES).map(count).max().unwrap_or(0) as f64 / shard.len() as f64
            };
            purity.push(shards.iter().map(commonest).sum::<f64>() / 16.0);
        }
        let in_order = contiguous(16);
        assert_eq!(in_order.concat(), (0..SITES).collect::<Vec<_>>());
        assert!(in_order.iter().all(|shard| shard.len() == SITES / 16));
        assert!(purity[0] < 0.4 && purity[1] > 0.4 && purity[1] < 0.9 && purity[2] > 0.9, "{purity:?}");
    }
}
