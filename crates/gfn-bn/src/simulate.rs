//! Simulated networks and tables: linear-Gaussian and discrete, alike at all sites or not.
