//! Real packets through real devices, in network namespaces of their own. Needs root and `ip`.

mod devices;
mod lab;
