//! A changed migration changes the program, for the migrations are compiled in; so does what is known of its statements.
fn main() {
    println!("cargo::rerun-if-changed=../migrations");
    println!("cargo::rerun-if-changed=../.sqlx");
}
