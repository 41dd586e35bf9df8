//! What a posterior over graphs is asked for: probabilities of edges, paths and Markov blankets.
