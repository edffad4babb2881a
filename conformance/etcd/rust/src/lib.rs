//! Only so that there is a package which depends on what is run.
