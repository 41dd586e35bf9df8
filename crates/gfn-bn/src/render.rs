//! Graphs as DOT and GraphML.
