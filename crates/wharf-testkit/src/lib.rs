//! Test support: fixtures, a scripted fault server, real peers.
