//! Client, server framework and other people's client over a real socket.

mod client;
mod hostile_client;
mod hostile_server;
mod papi;
mod slow;
mod stats;
mod toy;
