//! Time of the likelihood's parts: `cargo run --release -p gfn-phylo --example likelihood_speed [ALIGNMENT.fasta]`.
//!
//! Without a file, 27 taxa and 1949 sites are simulated.

use std::hint::black_box;
use std::time::Instant;

use gfn_phylo::{
    Alignment, Likelihood, OracleSettings, SitePatterns, SubstitutionModel, Topology, sample_topologies,
    simulate_alignment,
};

fn microseconds(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..20 {
        let start = Instant::now();
        for _ in 0..500 {
            work();
        }
        best = best.min(start.elapsed().as_secs_f64() / 500.0 * 1e6);
    }
    best
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let alignment = match std::env::args().nth(1) {
        Some(path) => {
            let text = std::fs::read_to_string(path)?;
            let records = text.split('>').skip(1).filter_map(|record| record.split_once('\n'));
            let (taxa, rows) = records
                .map(|(name, row)| {
                    (name.trim().to_string(), row.split_whitespace().collect::<String>().into_bytes())
                })
                .unzip();
            Alignment::new(taxa, rows)?
        }
        None => {
            let names: Vec<String> = (0..27).map(|taxon| format!("t{taxon:02}")).collect();
            let merges: Vec<[usize; 2]> = (0..25).map(|i| [if i == 0 { 1 } else { 26 + i }, i + 2]).collect();
            let tree = Topology::from_merges(names.into(), &merges)?;
            simulate_alignment(&tree.to_newick(|_| Some(0.05)), &SubstitutionModel::jc69(), 1949, 1)?
        }
    };
    let patterns = SitePatterns::new(&alignment);
    println!("{} taxa, {} sites, {} patterns", patterns.n_taxa(), patterns.n_sites(), patterns.n_patterns());
    for text in [
        "JC69",
        "HKY85{2}+F{0.1,0.2,0.3,0.4}",
        "JC69+G4{0.5}",
        "GTR{1,2,3,4,5,6}+F{0.1,0.2,0.3,0.4}+G4{0.5}+I{0.1}",
    ] {
        let likelihood = Likelihood::new(&text.parse()?, &patterns)?;
        let edge = likelihood.transition(0.1);
        let (a, b) = (likelihood.leaf(0), likelihood.leaf(1));
        let ab = likelihood.merge(&a, &edge, &b, &edge);
        let cd = likelihood.merge(&likelihood.leaf(2), &edge, &likelihood.leaf(3), &edge);
        let merge = microseconds(|| drop(black_box(likelihood.merge(&ab, &edge, &cd, &edge))));
        let join = microseconds(|| {
            black_box(likelihood.edge_log_likelihood(&ab, &cd, &edge));
        });
        let transition = microseconds(|| drop(black_box(likelihood.transition(black_box(0.1)))));
        println!(
            "{text}: merge {merge:.2} µs, edge {join:.2} µs, transition {transition:.2} µs, {} bytes",
            ab.bytes()
        );
    }
    let likelihood = Likelihood::new(&SubstitutionModel::jc69(), &patterns)?;
    let settings = OracleSettings { chains: 1, steps: 200_000, ..OracleSettings::default() };
    let start = Instant::now();
    let report = sample_topologies(&likelihood, &settings)?;
    let rate = settings.steps as f64 / start.elapsed().as_secs_f64();
    println!(
        "Metropolis: {rate:.0} steps/s, {} topologies, acceptance {:.3}",
        report.trees.len(),
        report.acceptance[0]
    );
    Ok(())
}
