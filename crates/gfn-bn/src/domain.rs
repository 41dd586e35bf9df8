//! Network structures as a domain of the `ep` command.
