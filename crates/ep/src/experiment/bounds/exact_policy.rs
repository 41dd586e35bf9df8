//! The policy that samples a given distribution exactly, on every edge of a state graph.

use gfn_core::environment::Environment;
use gfn_core::exact::{EdgePolicy, StateGraph};
use gfn_core::policy::Uniform;
use rustc_hash::FxHashMap;

use crate::experiment::problem::Problem;

/// The edges of a state graph, to make exact policies on.
pub struct ExactPolicies<'a, E: Environment> {
    problem: &'a Problem<E>,
    /// Edge e of state s is one of `offsets[s]..offsets[s + 1]`, in the order of the graph.
    offsets: Vec<usize>,
    children: Vec<usize>,
    /// Number of the object that a state is.
    object: Vec<Option<usize>>,
    log_backward: Vec<f64>,
}

impl<'a, E: Environment> ExactPolicies<'a, E> {
    /// Of a problem.
    pub fn new(problem: &'a Problem<E>) -> Self {
        let (env, graph): (&E, &StateGraph<E>) = (problem.env.as_ref(), &problem.graph);
        let numbers: FxHashMap<&E::State, usize> = graph.states().iter().zip(0..).collect();
        let (mut offsets, mut children, mut legal) = (vec![0], Vec::new(), Vec::new());
        for state in graph.states() {
            legal.clear();
            env.forward_actions(state, &mut legal);
            children.extend(legal.iter().map(|&action| numbers[&env.step(state, action).0]));
            offsets.push(children.len());
        }
        let mut object = vec![None; graph.states().len()];
        graph.objects().enumerate().for_each(|(number, state)| object[numbers[state]] = Some(number));
        let log_backward = problem.edges(&Uniform::new(env.spec())).backward;
        ExactPolicies { problem, offsets, children, object, log_backward }
    }

    /// The policy whose flow is F(s) = R(s) [s is an object] + Σ_children F(s') p_B(s|s'): its S(τ) = log R(x) − log Z on
    /// every trajectory. `log_reward` is log R of every object, unnormalised.
    pub fn of(&self, log_reward: &[f64]) -> EdgePolicy {
        let stops = self.problem.env.spec().stop_action().is_some();
        let n = self.object.len();
        let mut log_flow = vec![f64::NEG_INFINITY; n];
        let mut stop = vec![0.0; n];
        let mut forward = vec![0.0; self.children.len()];
        // Every edge leads to a larger number.
        for state in (0..n).rev() {
            let edges = self.offsets[state]..self.offsets[state + 1];
            let own = self.object[state].map_or(f64::NEG_INFINITY, |number| log_reward[number]);
            let mut largest = own;
            for edge in edges.clone() {
                forward[edge] = log_flow[self.children[edge]] + self.log_backward[edge];
                largest = largest.max(forward[edge]);
            }
            let sum: f64 = forward[edges.clone()].iter().map(|f| (f - largest).exp()).sum();
            log_flow[state] = largest + (sum + (own - largest).exp()).ln();
            forward[edges].iter_mut().for_each(|f| *f -= log_flow[state]);
            if stops {
                stop[state] = own - log_flow[state];
            }
        }
        EdgePolicy { forward, backward: self.log_backward.clone(), stop }
    }
}

#[cfg(test)]
mod tests {
    use gfn_core::exact::normalise;
    use gfn_core::metrics::l1;

    use super::*;
    use crate::experiment::problems::{grid, multisets};

    fn check<E: Environment>(problem: &Problem<E>) {
        let policies = ExactPolicies::new(problem);
        let log_reward: Vec<f64> = (0..problem.target.len()).map(|x| ((7 * x) % 11) as f64 * 0.5).collect();
        let policy = policies.of(&log_reward);
        let (log_z, wanted) = normalise(&log_reward);
        assert!(l1(&problem.graph.distribution(&policy), &wanted) < 1e-12);
        // S(τ) is the same on all trajectories to an object.
        let log_target: Vec<f64> = log_reward.iter().map(|r| r - log_z).collect();
        let (low, high) = problem.graph.score_range(&policy, &log_target);
        assert!(low > -1e-12 && high < 1e-12, "{low} {high}");
    }

    #[test]
    fn exact_policies_sample_what_they_were_asked_for_whatever_the_path() {
        check(&grid(true).unwrap());
        check(&multisets(true, 0).unwrap());
    }
}
