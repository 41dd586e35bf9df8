//! Priors over graphs: uniform, fair by number of parents, edge by edge.
