//! A changed migration changes the program: the migrations are compiled in.
fn main() {
    println!("cargo::rerun-if-changed=../migrations");
}
