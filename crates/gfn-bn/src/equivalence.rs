//! Markov equivalence classes: the completed partially directed graph of a DAG.
