//! The list is read from the folder at compile time: a new file must make the crate build again.
fn main() {
    println!("cargo:rerun-if-changed=.");
}
