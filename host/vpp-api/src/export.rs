//! Modules in the form of VPP's `*.api.json` files.
