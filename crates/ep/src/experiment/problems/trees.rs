//! The trees of the paper: 7 leaves, five clients of 500 simulated sites, JC69, one length for all branches.

use std::sync::Arc;

use gfn_core::domain::Domain as _;
use gfn_core::environment::Environment as _;
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_core::{Error, Result};
use gfn_phylo::{
    Alignment, BranchLengths, Forest, MergeForest, SubstitutionModel, TreeDomain, TreeReward,
    simulate_alignment,
};

use super::for_quick;
use crate::experiment::problem::{Problem, Steps, Training};
use crate::experiment::training::seed_of;

/// Expected substitutions per site on every branch.
const BRANCH_LENGTH: f64 = 0.1;

/// Simulated sites, dealt to clients.
#[derive(Debug, Clone)]
pub struct TreeData {
    /// Taxa.
    pub leaves: usize,
    /// Sites of each client.
    pub sites: Vec<usize>,
    /// Exponent of the likelihood.
    pub temper: f64,
    /// Whether budgets are those of `--quick`.
    pub quick: bool,
}

impl TreeData {
    /// The paper's setting. It does not say how far the likelihood is tempered: with this exponent the product is spread
    /// over some twenty trees, where a client alone is nearly flat; at .02 a single tree has it all.
    pub fn of_the_paper(quick: bool) -> Self {
        let (leaves, sites) = if quick { (5, 100) } else { (7, 500) };
        TreeData { leaves, sites: vec![sites; super::Domain::Trees.n_clients()], temper: 0.005, quick }
    }
}

/// The problem; the seed draws a tree, uniformly over topologies, and the sites.
pub fn trees(data: &TreeData, seed: u64) -> Result<Problem<MergeForest>> {
    let (domain, alignment) = simulated_sites(data.leaves, data.sites.iter().sum(), seed)?;
    let mut first = 0;
    let mut shards = Vec::new();
    for &sites in &data.sites {
        shards.push((first..first + sites).collect());
        first += sites;
    }
    trees_of_shards(&domain, &alignment, &shards, data.temper, data.quick)
}

/// So many sites that evolved along one tree of `leaves` taxa, and the domain of these taxa. The seed draws the tree,
/// uniformly over topologies, and the sites; the order of the rows is that of the domain's taxa.
pub fn simulated_sites(leaves: usize, sites: usize, seed: u64) -> Result<(TreeDomain, Alignment)> {
    let taxa: Vec<String> = (0..leaves).map(|leaf| format!("t{leaf}")).collect();
    let branches = BranchLengths::fixed(BRANCH_LENGTH)?;
    let model = SubstitutionModel::jc69();
    let domain = TreeDomain::new(taxa.clone(), &taxa[leaves - 1], model.clone(), branches)?;
    let Some(object) = domain.environment().sample_object(&mut stream(seed, "true tree", 0)) else {
        return Err(Error::usage(
            "leaves",
            "a number for which trees can be drawn",
            leaves.to_string(),
            "use more",
        ));
    };
    let mut tree = domain.newick(&object);
    tree.nodes
        .iter_mut()
        .filter(|node| node.parent.is_some())
        .for_each(|node| node.length = Some(BRANCH_LENGTH));
    let alignment = simulate_alignment(&tree, &model, sites, seed_of(seed, "sites"))?;
    let order: Vec<usize> = taxa.iter().filter_map(|taxon| alignment.taxon_index(taxon)).collect();
    Ok((domain, alignment.select_taxa(&order)))
}

/// The problem of clients that hold these sites of an alignment; the product is the likelihood of all of them.
pub fn trees_of_shards(
    domain: &TreeDomain,
    alignment: &Alignment,
    shards: &[Vec<usize>],
    temper: f64,
    quick: bool,
) -> Result<Problem<MergeForest>> {
    let reward = |alignment: &Alignment| -> Result<Arc<dyn LogReward<MergeForest>>> {
        Ok(Arc::new(Tempered { reward: domain.reward(alignment, 0.0)?, temper }))
    };
    let of_shard = |sites: &Vec<usize>| reward(&alignment.select_sites(sites));
    let clients = shards.iter().map(of_shard).collect::<Result<_>>()?;
    // All sites together have fewer distinct patterns than the clients' have in sum, and cost less for it.
    let product = reward(alignment)?;
    let training = for_quick(Training::of(domain, STEPS), quick);
    Problem::new("trees", Arc::clone(domain.environment()), clients, product, training, None)
}

const STEPS: Steps = Steps { client: 8000, round: 4000, server: 4000, centralised: 8000 };

/// `temper` · log p(D | tree), under a uniform prior over topologies.
struct Tempered {
    reward: TreeReward,
    temper: f64,
}

impl LogReward<MergeForest> for Tempered {
    fn log_reward(&self, _env: &MergeForest, object: &Forest) -> f64 {
        self.temper * self.reward.log_likelihood(object)
    }
}
