//! Native modules: the Rust and the Go sample in a running server.
