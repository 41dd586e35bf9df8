//! Exact log-evidence and edge probabilities by a recursion over sink sets, for up to about twenty nodes.
