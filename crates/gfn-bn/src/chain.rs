//! Structure Markov chains on cached local scores: proposals for training, a baseline in reports, an oracle in tests.
